"""SLUNG's objectives under transformers.Trainer and TRL's SFTTrainer.

    from slung_trainer import SelectiveTrainer                    # or, with TRL:
    class SelectiveSFTTrainer(SelectiveLoss, SFTTrainer): ...

    trainer = SelectiveTrainer(
        model=model,
        args=TrainingArguments(..., remove_unused_columns=False),
        train_dataset=list(read_records("labelled.jsonl", tokenizer)),
        data_collator=SelectiveCollator(tokenizer.pad_token_id, "unlikelihood"),
        objective="unlikelihood",
        denominator="active",
    )

For SFTTrainer the records are tokenised already: SFTConfig(dataset_kwargs={"skip_prepare_dataset": True}, packing=False).
The masked objective over active tokens needs none of this: SelectiveCollator's labels are enough for any trainer.

Written for transformers 4.46 and later, whose Trainer counts what a step is divided by before its first micro-batch
(get_batch_samples) and hands the count to compute_loss.
"""

import torch

from slung_loss import divisor, selective_sum, shifted_targets, terms_of


class SelectiveLoss:
    """Goes before Trainer, or a class made of it, in a class of your own."""

    def __init__(self, *args, objective="masked", denominator="active", **kwargs):
        super().__init__(*args, **kwargs)
        self.objective = terms_of(objective)
        self.denominator = denominator
        # The loss is divided by the count of the whole step, and not once more by the number of micro-batches.
        self.model_accepts_loss_kwargs = True

    def get_batch_samples(self, *args, **kwargs):
        """The micro-batches of a step, and Z over all of them and all processes."""
        batches, _ = super().get_batch_samples(*args, **kwargs)
        if not batches:
            return batches, None
        z = divisor([_targets(batch) for batch in batches], self.objective, self.denominator)
        if self._processes() > 1:
            z = self.accelerator.gather(torch.tensor(float(z), device=self.accelerator.device)).sum().item()
        return batches, z

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        inputs = dict(inputs)
        targets = _targets(inputs)
        for own in ("labels", "classes", "weights"):
            inputs.pop(own, None)
        outputs = model(**inputs)
        logits = outputs["logits"] if isinstance(outputs, dict) else outputs.logits
        z = num_items_in_batch
        if z is None:  # evaluation
            z = divisor([targets], self.objective, self.denominator)
        total = selective_sum(logits[:, :-1].reshape(-1, logits.shape[-1]), targets, self.objective)
        # Processes average their gradients, and Z is of all of them.
        loss = total / z * (self._processes() if num_items_in_batch is not None else 1)
        return (loss, outputs) if return_outputs else loss

    def _processes(self):
        return getattr(getattr(self, "accelerator", None), "num_processes", 1)


def _targets(batch):
    return shifted_targets(batch["input_ids"], batch["classes"], batch.get("attention_mask"), batch.get("weights"))


try:
    from transformers import Trainer
except ImportError:  # TRL's users make a class of their own; the tests use a stand-in
    pass
else:

    class SelectiveTrainer(SelectiveLoss, Trainer):
        """transformers.Trainer with an objective and a denominator."""

"""SLUNG's objectives under OLMo-core's trainer.

The masked objective needs no code: `deno task export olmo` writes masks that OLMo-core reads. For unlikelihood, build the
train module from this class instead of TransformerTrainModule, and give it the folder of the shards:

    module = SelectiveTrainModule(..., objective="unlikelihood",
                                  class_shards=ClassShards("exported", sequence_length=2048))

The loader must be NumpyFSLDataset's over the parts of that folder in their order, all of one source and without a mask, so
that the index of a sequence finds its classes. Losses are computed from whole logits, so no context, tensor or pipeline
parallelism, and no fused loss. Z is counted per process, as OLMo-core counts its own.

Written for OLMo-core 2: train_batch(batch) takes labels that the batch has, and calls
model_forward(input_ids, labels=..., loss_div_factor=..., loss_reduction="sum", ...) for each micro-batch.
"""

import numpy
import torch
from olmo_core.nn.lm_head import LMOutputWithLoss
from olmo_core.train.train_module import TransformerTrainModule

from slung_loss import Targets, divisor, selective_sum, terms_of

# A label says which token and which class: class * STRIDE + id. -100 stays what nothing is learned of.
STRIDE = 1 << 32


class SelectiveTrainModule(TransformerTrainModule):
    """TransformerTrainModule with an objective and a denominator."""

    def __init__(self, *args, objective="unlikelihood", denominator="active", class_shards=None, **kwargs):
        super().__init__(*args, **kwargs)
        if class_shards is None:
            raise ValueError("Cannot train selectively: there are no classes. Give class_shards.")
        self.objective = terms_of(objective)
        self.denominator = denominator
        self.class_shards = class_shards
        self._z = None

    def train_batch(self, batch, dry_run=False):
        ids = batch["input_ids"]
        rows = [self.class_shards[int(index)] for index in batch["index"]]
        classes = torch.from_numpy(numpy.stack(rows).astype(numpy.int64)).to(ids.device)
        is_text = torch.ones_like(ids, dtype=torch.bool)
        if batch.get("instance_mask") is not None:
            is_text &= batch["instance_mask"].to(ids.device).unsqueeze(-1)
        targets = _flat(ids[:, 1:], classes[:, 1:], is_text[:, 1:], classes[:, 0][is_text[:, 0]])
        # A dry run sees tokens that are none of the shards'.
        self._z = 1 if dry_run else divisor([targets], self.objective, self.denominator)
        has_term = torch.tensor([term is not None for term in self.objective], device=ids.device)
        labels = torch.full_like(ids, self.label_ignore_index)
        learned = is_text[:, 1:] & has_term[classes[:, 1:]]
        labels[:, :-1] = torch.where(learned, classes[:, 1:] * STRIDE + ids[:, 1:], labels[:, 1:])
        super().train_batch({**batch, "labels": labels}, dry_run=dry_run)

    def model_forward(self, input_ids, labels=None, **kwargs):
        if labels is None or kwargs.get("loss_reduction") != "sum":
            return super().model_forward(input_ids, labels=labels, **kwargs)  # evaluation
        if kwargs.get("z_loss_multiplier"):
            raise ValueError("Cannot add the z-loss to a selective one. Leave z_loss_multiplier out.")
        of_loss = ("ignore_index", "loss_reduction", "z_loss_multiplier", "loss_div_factor", "return_logits")
        logits = super().model_forward(input_ids, **{name: value for name, value in kwargs.items() if name not in of_loss})
        labels = labels.to(logits.device)
        learned = labels != self.label_ignore_index
        targets = _flat(torch.where(learned, labels % STRIDE, 0 * labels), labels // STRIDE, learned)
        loss = selective_sum(logits.reshape(-1, logits.shape[-1]), targets, self.objective) / self._z
        return LMOutputWithLoss(logits=None, loss=loss, ce_loss=loss.detach(), z_loss=None)


def _flat(ids, classes, predicted, first_classes=None):
    first = first_classes if first_classes is not None else classes.new_zeros(0)
    weights = torch.ones(ids.numel(), device=ids.device)
    return Targets(ids.reshape(-1), classes.reshape(-1), predicted.reshape(-1), weights, first)

"""Labelled texts for training in Python: what `deno task label`, `prepare` and `export olmo` write.

    records = read_records("labelled.jsonl", tokenizer)    # JSON lines of `label`, with or without token classes
    collate = SelectiveCollator(pad_token_id=tokenizer.pad_token_id, objective="masked")
    classes = ClassShards("exported", sequence_length=2048)  # risk_classes_part_*.u8, beside token_ids_part_*.npy

Needs numpy, and torch in the collator. The classes: 0 unlabelled, 1 low, 2 possible, 3 high.
"""

import json
from pathlib import Path

import numpy

RISKS = {"low": 1, "possible": 2, "high": 3, 1: 1, 2: 2, 3: 3}
IGNORED = -100  # the label that transformers, TRL and PyTorch pass over


def read_records(path, tokenizer=None):
    """Yields {"input_ids", "classes"[, "weight"]} of each line.

    Lines that `deno task label --tokenizer` wrote have both. Others have "text" and "spans", and need a fast tokenizer of
    transformers: it is called with return_offsets_mapping, and adds what special tokens it adds; those are low risk.
    """
    unit = "utf16"
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            record = json.loads(line)
            if set(record) == {"offsets"}:  # speaks for the whole file
                unit = record["offsets"]
                continue
            where = f"{path}:{number}"
            if "input_ids" in record and "classes" in record:
                found = {"input_ids": record["input_ids"], "classes": record["classes"]}
                if len(found["input_ids"]) != len(found["classes"]):
                    raise ValueError(f"Cannot read {where}: it has other classes than tokens.")
            elif tokenizer is None:
                raise ValueError(f"Cannot read {where}: it has no classes of tokens. Give a tokenizer.")
            else:
                found = classify(record, tokenizer, record.get("offsets", unit), where)
            if "weight" in record:
                found["weight"] = record["weight"]
            yield found


def classify(record, tokenizer, unit="utf16", where="the record"):
    """The tokens of a text and the class of each: the highest risk of the spans that it touches, else low."""
    text = record["text"]
    if "spans" not in record:
        raise ValueError(f'Cannot read {where}: field "spans" is missing. Write "spans": [] for a text without risk.')
    if record.get("rule", "overlap") != "overlap":
        raise ValueError(f'Cannot read {where}: the rule "{record["rule"]}" needs `deno task label --tokenizer`.')
    places = _code_points(text, unit)
    encoding = tokenizer(text, return_offsets_mapping=True)
    classes = [1] * len(encoding["input_ids"])
    for span in record["spans"]:
        start, end, risk = (*span, "high") if isinstance(span, list) else (span["start"], span["end"], span.get("risk", "high"))
        if start not in places or end not in places or not start < end or risk not in RISKS:
            raise ValueError(f"Cannot read {where}: the span {span!r} does not fit its text in {unit} units.")
        first, last = places[start], places[end]
        for i, (begin, stop) in enumerate(encoding["offset_mapping"]):
            is_special = begin == stop == 0
            if not is_special and begin < last and max(stop - 1, begin) >= first:
                classes[i] = max(classes[i], RISKS[risk])
    return {"input_ids": list(encoding["input_ids"]), "classes": classes}


def _code_points(text, unit):
    """The code point at each offset of another unit that is not inside a character."""
    if unit == "codepoint":
        return dict(zip(range(len(text) + 1), range(len(text) + 1)))
    if unit not in ("utf16", "utf8"):
        raise ValueError(f"There is no unit {unit!r} of offsets. Choose utf16, codepoint or utf8.")
    places, at = {}, 0
    for i, character in enumerate(text):
        places[at] = i
        at += len(character.encode("utf-16-le" if unit == "utf16" else "utf-8")) // (2 if unit == "utf16" else 1)
    places[at] = len(text)
    return places


class SelectiveCollator:
    """Rows of one length from records with input_ids and classes: for transformers.Trainer and TRL's SFTTrainer alike.

    `labels` are right for the masked objective under any trainer that passes over -100, divided by the active tokens: they
    are -100 at masked tokens, padding, and the first token of a text. `classes` and `weights` are for the trainers of
    slung_trainer.py, which need them for every other objective and denominator.
    """

    def __init__(self, pad_token_id, objective="masked", max_length=None):
        from slung_loss import terms_of

        self.pad_token_id = pad_token_id
        self.terms = terms_of(objective)
        self.max_length = max_length

    def __call__(self, records):
        import torch

        length = max(len(record["input_ids"]) for record in records)
        if self.max_length is not None:
            length = min(length, self.max_length)
        shape = (len(records), length)
        batch = {
            "input_ids": torch.full(shape, self.pad_token_id, dtype=torch.long),
            "attention_mask": torch.zeros(shape, dtype=torch.long),
            "labels": torch.full(shape, IGNORED, dtype=torch.long),
            "classes": torch.zeros(shape, dtype=torch.long),
            "weights": torch.zeros(shape),
        }
        has_term = torch.tensor([term is not None for term in self.terms])
        for row, record in enumerate(records):
            ids = torch.as_tensor(record["input_ids"][:length])
            classes = torch.as_tensor(record["classes"][:length])
            n = len(ids)
            batch["input_ids"][row, :n] = ids
            batch["attention_mask"][row, :n] = 1
            batch["classes"][row, :n] = classes
            batch["weights"][row, :n] = float(record.get("weight", 1))
            batch["labels"][row, 1:n] = torch.where(has_term[classes[1:]], ids[1:], torch.tensor(IGNORED))
        return batch


class ClassShards:
    """The classes of the sequences of a folder of token shards, by the number that OLMo-core's loaders give them.

    Like NumpyFSLDataset, each part is cut into sequences on its own, in the order of its files; what is left over at its end
    belongs to none.
    """

    def __init__(self, folder, sequence_length):
        files = sorted(Path(folder).glob("risk_classes_part_*.u8"))
        if not files:
            raise FileNotFoundError(f"Cannot find classes in {folder}: it holds no risk_classes_part_*.u8.")
        self.sequence_length = sequence_length
        self.parts = [numpy.memmap(file, dtype=numpy.uint8, mode="r") for file in files]
        counts = [len(part) // sequence_length for part in self.parts]
        self.ends = numpy.cumsum(counts)

    def __len__(self):
        return int(self.ends[-1])

    def __getitem__(self, index):
        """[T] uint8."""
        if not 0 <= index < len(self):
            raise IndexError(f"There is no sequence {index} among {len(self)}.")
        part = int(numpy.searchsorted(self.ends, index, side="right"))
        place = index - (int(self.ends[part - 1]) if part else 0)
        start = place * self.sequence_length
        return self.parts[part][start : start + self.sequence_length]

"""Makes tokenizers.json: what Hugging Face's own tokenizers (the Rust library) make of texts that tell its parts apart.

    python3 tests/golden/make_tokenizers.py        needs tokenizers (written with 0.23.2); a second

Two tokenizers of some hundred tokens, byte-level (as GPT-2) and of the SentencePiece kind (as Llama 2), and for each a
list of changes: other pre-tokenizers, normalisers, added tokens, options of the model. Every case has the ids of all
texts; offsets and decoding follow from the texts themselves. `special` is "text" where special tokens that are spelt out
stay text (`encode_special_tokens`).
"""

import itertools
import json
from pathlib import Path

from tokenizers import Tokenizer

TEXTS = [
    "The old mill by Oda Venn, OdaVenn and  Oda\n\nVenn don't isn't I'LL 'ſ k\u212a",
    "a\u0085b\ufeffc\u00a0d\u2028e\u3000 \u180ef \ufeff! \r\n\t ",
    "½½ ٣٤ ²³ 12345 Ⅷ x1y22z333 1,234.5",
    "a$b $5 + 3 < = > ^ ` | ~ «¡» ... !? \u061d\u2e5d end.",
    "cafe\u0301 caf\u00e9 e\u0301\u0338 \u1112\u1161\u11ab o\u0308 ﬁ \u212b",
    "<s>The</s> mill<pad> </s></s> <unk>\u2581 x<0x41>",
    "👩\u200d👩\u200d👧 🌊 漢字ひら 𝒳 עברית عربي \u0000\u0007",
    "aab abb aaab  b ab_c-d tab\tx\n y\n",
]


def letters():
    """GPT-2's byte alphabet."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


def tokenizer(vocabulary, merges, special, **parts):
    for left, right in merges:
        if left + right not in vocabulary:
            vocabulary.append(left + right)
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    ids = {token: i for i, token in enumerate(vocabulary)}
    model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
             "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False}
    model |= parts.pop("model", {}) | {"vocab": ids, "merges": [f"{left} {right}" for left, right in merges]}
    added = [{"id": ids[content], "content": content, **flags} for content in special]
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
            "pre_tokenizer": None, "post_processor": None, "decoder": None, "model": model} | parts


def byte_level(use_regex=True, add_prefix_space=False):
    return {"type": "ByteLevel", "add_prefix_space": add_prefix_space, "trim_offsets": False, "use_regex": use_regex}


BYTES = tokenizer(
    ["<s>", "</s>", "<pad>", *letters()],
    [*zip("ĠĠĠĠtoomO", "tobmhldid")] + [("Ġt", "he"), ("th", "e"), ("h", "e"), ("Ġt", "h"), ("a", "b"), ("a", "a"),
     ("Ġ", "Ġ"), ("1", "2"), ("Â", "½"), ("O", "d"), ("Od", "a"), ("ĠO", "d"), ("Ġ", "O"), ("l", "l"), ("i", "ll")],
    ["<s>", "</s>", "<pad>"], pre_tokenizer=byte_level(), post_processor=byte_level(), decoder=byte_level())

MARK = {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
PIECES = tokenizer(
    ["<unk>", "<s>", "</s>", *[f"<0x{byte:02X}>" for byte in range(256)], *"\u2581TOVabcdehilmnotyx.,é"],
    [("\u2581", "T"), ("\u2581T", "h"), ("\u2581Th", "e"), ("\u2581", "o"), ("l", "d"), ("\u2581o", "ld"), ("i", "l"),
     ("il", "l"), ("\u2581", "m"), ("\u2581m", "ill"), ("O", "d"), ("Od", "a"), ("\u2581", "Oda"), ("\u2581", "\u2581"),
     ("e", "n"), ("a", "b"), ("a", "a"), ("aa", "b"), ("b", "\u2581")],
    ["<unk>", "<s>", "</s>"], model={"unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True},
    normalizer={"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u2581"}, MARK]},
    decoder={"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0}]})
BASES = {"bytes": BYTES, "pieces": PIECES}
BEHAVIOURS = ["Isolated", "Removed", "Contiguous", "MergedWithPrevious", "MergedWithNext"]
PATTERNS = [
    r"\d{1,2}", r"\s+", r"\w+", r"\W", r"\b", r"a*", r"^", r"$", r".", r"(?=[A-Z])", r"\p{Han}+|\p{Hiragana}",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d|k)", r"[^\s\w]++", r"(?>\s+)\S?", r"[a-m&&[^aeiou]]", r"\p{N}{1,3}+", r"[\p{P}\p{S}]",
    r"(?<=a)b|c(?!d)", r"\h\H", r"a{,2}b", r"[^(\s|[.,!?…。，、।۔،])]+", r"\S\B\S", r"(?i)oda", r"\x41|\u0061|\x{62}",
    # GPT-4, Llama 3; the same with possessive quantifiers; GPT-4o; DeepSeek
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[一-龥぀-ゟ゠-ヿ]+",
]


def before_bytes(*parts, use_regex=False):
    return {"type": "Sequence", "pretokenizers": [*parts, byte_level(use_regex)]}


def split(pattern, behaviour="Isolated", invert=False, kind="Regex"):
    return before_bytes({"type": "Split", "pattern": {kind: pattern}, "behavior": behaviour, "invert": invert})


def added(base, *tokens):
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    ids = dict(BASES[base]["model"]["vocab"])
    fresh = [{"id": ids.setdefault(token["content"], len(ids)), **flags, **token} for token in tokens]
    return BASES[base]["added_tokens"] + fresh


def metaspace(scheme, split):
    return {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": scheme, "split": split}


def cases():
    """name, base, what replaces fields of it; fields of the model as `model.NAME`."""
    yield "as it is", "bytes", {}
    yield "as it is", "pieces", {}
    for pattern in PATTERNS:
        yield f"Split {pattern}", "bytes", {"pre_tokenizer": split(pattern)}
    for behaviour, invert in itertools.product(BEHAVIOURS, [False, True]):
        for pattern in [r"\d{1,2}", "a", r"\s"]:
            name = f"Split {pattern} {behaviour}{' inverted' if invert else ''}"
            yield name, "bytes", {"pre_tokenizer": split(pattern, behaviour, invert)}
    for behaviour in BEHAVIOURS:
        yield f"Split . as it is, {behaviour}", "bytes", {"pre_tokenizer": split(".", behaviour, kind="String")}
        yield f"Punctuation {behaviour}", "bytes", {
            "pre_tokenizer": before_bytes({"type": "Punctuation", "behavior": behaviour})}
    for single in [True, False]:
        yield f"Digits {single}", "bytes", {
            "pre_tokenizer": before_bytes({"type": "Digits", "individual_digits": single}, use_regex=True)}
        yield f"a space in front, words {single}", "bytes", {"pre_tokenizer": byte_level(single, True)}
    yield "Whitespace", "bytes", {"pre_tokenizer": before_bytes({"type": "Whitespace"})}
    yield "WhitespaceSplit", "bytes", {"pre_tokenizer": before_bytes({"type": "WhitespaceSplit"})}
    for base in BASES:
        for single, left, right, normalized in itertools.product([False, True], repeat=4):
            flags = {"single_word": single, "lstrip": left, "rstrip": right, "normalized": normalized}
            named = " ".join(flag for flag, on in flags.items() if on)
            yield f"added tokens {named}", base, {"added_tokens": added(
                base, {"content": "Oda", **flags}, {"content": "OdaV", "lstrip": right, "normalized": normalized},
                {"content": "e\u0301", "normalized": True}, {"content": " \n", "normalized": normalized})}
        yield "words of the vocabulary whole", base, {"model.ignore_merges": True}
        yield "NFC", base, {"normalizer": {"type": "NFC"}}
        yield "NFC, then other text in its place", base, {"normalizer": {"type": "Sequence", "normalizers": [
            {"type": "NFC"}, {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "},
            {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}, {"type": "Prepend", "prepend": "x"}]}}
    for scheme, divided in itertools.product(["always", "first", "never"], [True, False]):
        part = metaspace(scheme, divided)
        yield f"Metaspace {scheme}, split {divided}", "pieces", {
            "normalizer": None, "pre_tokenizer": part, "decoder": part,
            "added_tokens": added("pieces", {"content": "Oda"}, {"content": " O", "normalized": True})}
    yield "spaces stay with the word before", "pieces", {
        "normalizer": MARK,
        "pre_tokenizer": {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}}
    for fuse, unknown in itertools.product([True, False], ["<unk>", None]):
        yield f"no bytes, unknown {unknown}, fused {fuse}", "pieces", {
            "model.byte_fallback": False, "model.fuse_unk": fuse, "model.unk_token": unknown}


def changed(base, changes):
    whole = json.loads(json.dumps(base))
    for key, value in changes.items():
        if key.startswith("model."):
            whole["model"][key.removeprefix("model.")] = value
        else:
            whole[key] = value
    return whole


def main():
    made = []
    for name, base, changes in cases():
        oracle = Tokenizer.from_str(json.dumps(changed(BASES[base], changes)))
        for special in ["tokens", "text"] if name in ("added tokens ", "as it is") else ["tokens"]:
            oracle.encode_special_tokens = special == "text"
            ids = [oracle.encode(text, add_special_tokens=False).ids for text in TEXTS]
            made.append({"name": name, "base": base, "changes": changes, "special": special, "ids": ids})
    path = Path(__file__).parent / "tokenizers.json"
    lines = ",\n".join(json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in made)
    head = json.dumps({"bases": BASES, "texts": TEXTS})[:-1]
    path.write_text(f'{head}, "cases": [\n{lines}\n]}}\n', encoding="utf-8")


main()

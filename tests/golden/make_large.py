"""Makes large.json, which judges a model whose embedding is larger than one binding: two layers of OLMo 1B.

    python3 tests/golden/make_large.py        needs torch and numpy; two minutes and 8 GB of memory

The weights come from a hash of their positions, so that the test makes the same ones and nothing large is committed.
Loss, gradients and one AdamW step are computed in float64 with the decoder of make_golden.py.
"""

import json
from pathlib import Path

import numpy
import torch

from make_golden import decoder, rounded, selective_loss

FOLDER = Path(__file__).parent
CONFIG = {"family": "olmo", "layers": 2, "vocabularySize": 50304, "width": 2048, "heads": 16, "kvHeads": 16,
          "headWidth": 128, "feedForward": 8192, "rotaryTheta": 10000, "norm": "layer", "normEpsilon": 1e-5,
          "tiedEmbedding": True}
BATCH, TIME = 2, 16
DEVIATION = 0.02
TRAINING = {"objective": "unlikelihood", "learningRate": 1e-3, "beta1": 0.9, "beta2": 0.95, "epsilon": 1e-8,
            "weightDecay": 0.1, "clipNorm": 1.0}
GENERATED = 6
SAMPLES = 64


def mixed(x):
    """A hash of 32-bit words (lowbias32, Wellons)."""
    x = x ^ (x >> 16)
    x = (x * 0x7FEB352D) & 0xFFFFFFFF
    x = x ^ (x >> 15)
    x = (x * 0x846CA68B) & 0xFFFFFFFF
    return x ^ (x >> 16)


def shapes():
    width, inner = CONFIG["width"], CONFIG["feedForward"]
    named = {"model.embed_tokens.weight": (CONFIG["vocabularySize"], width)}
    for i in range(CONFIG["layers"]):
        for name in ("q", "k", "v", "o"):
            named[f"model.layers.{i}.self_attn.{name}_proj.weight"] = (width, width)
        named[f"model.layers.{i}.mlp.gate_proj.weight"] = (inner, width)
        named[f"model.layers.{i}.mlp.up_proj.weight"] = (inner, width)
        named[f"model.layers.{i}.mlp.down_proj.weight"] = (width, inner)
    return dict(sorted(named.items()))


def weight(index, shape):
    """Uniform numbers of the standard deviation that transformers starts from, as float32 has them."""
    count = shape[0] * shape[1]
    seed = int(mixed(numpy.array([index + 1], dtype=numpy.uint64))[0])
    words = mixed((numpy.arange(count, dtype=numpy.uint64) + seed) & 0xFFFFFFFF)
    values = ((words.astype(numpy.float64) + 0.5) / 2**32 - 0.5) * (DEVIATION * 12**0.5)
    return torch.from_numpy(values.astype(numpy.float32).astype(numpy.float64).reshape(shape)).requires_grad_()


def step(parameters):
    """The first AdamW step, in place; returns the gradient norm before clipping."""
    t = TRAINING
    norm = torch.sqrt(sum(p.grad.square().sum() for p in parameters.values()))
    factor = min(1.0, t["clipNorm"] / (float(norm) + 1e-6))
    for name, p in parameters.items():
        g = p.grad * factor
        decay = t["weightDecay"] if name != "model.embed_tokens.weight" else 0.0
        p.data.mul_(1 - t["learningRate"] * decay)
        p.data.sub_(t["learningRate"] * g / (g.abs() + t["epsilon"]))  # both moments are corrected to g and g²
    return rounded(norm)


if __name__ == "__main__":
    parameters = {name: weight(i, shape) for i, (name, shape) in enumerate(shapes().items())}
    tokens = mixed(numpy.arange(BATCH * (TIME + 1), dtype=numpy.uint64) + 7) % CONFIG["vocabularySize"]
    tokens[:2] = [0, CONFIG["vocabularySize"] - 1]  # both ends of the embedding
    tokens = tokens.astype(numpy.int64).reshape(BATCH, TIME + 1)
    classes = 1 + mixed(numpy.arange(BATCH * TIME, dtype=numpy.uint64) + 99).reshape(BATCH, TIME) % 3
    batch = {"tokens": torch.from_numpy(tokens), "classes": torch.from_numpy(classes.astype(numpy.int64))}

    prompt, written = batch["tokens"][:1, :5], []
    with torch.no_grad():
        for _ in range(GENERATED):
            written.append(int(decoder(prompt, parameters, CONFIG)[0, -1].argmax()))
            prompt = torch.cat((prompt, torch.tensor([[written[-1]]])), 1)

    def loss():
        return selective_loss(decoder(batch["tokens"][:, :-1], parameters, CONFIG), batch, TRAINING["objective"])[0]

    before = loss()
    before.backward()
    gradients = {}
    for index, (name, p) in enumerate(parameters.items()):
        at = mixed(numpy.arange(SAMPLES, dtype=numpy.uint64) + 1000 * index) % p.numel()
        values = p.grad.reshape(-1)[torch.from_numpy(at.astype(numpy.int64))]
        gradients[name] = {"shape": list(p.shape), "norm": rounded(p.grad.norm()), "at": at.tolist(),
                           "values": [rounded(v) for v in values]}
    norm = step(parameters)
    with torch.no_grad():
        after = rounded(loss())
    report = {"config": CONFIG, "tokens": tokens.tolist(), "classes": classes.tolist(), "training": TRAINING,
              "prompt": 5, "written": written, "loss": rounded(before), "gradientNorm": norm, "lossAfter": after,
              "gradients": gradients}
    (FOLDER / "large.json").write_text(json.dumps(report) + "\n")

"""Logits and loss of a folder of OLMo, in float32 and layer by layer, with none of this project's code.

    /usr/bin/python3 tests/large/logits.py FOLDER REQUEST.json OUT        needs torch and numpy

REQUEST holds {"tokens": [...], "loss": [...]}: OUT.f32 becomes the logits of every token of the first, and the mean
cross-entropy of the second is printed. Only one layer of the weights is in memory at a time.
"""

import json
import resource
import sys
import time
from pathlib import Path

import numpy
import torch

folder, request, out = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text()), sys.argv[3]
config = json.loads((folder / "config.json").read_text())
began = time.time()

places = {}
for shard in sorted(folder.glob("*.safetensors")):
    length = int.from_bytes(shard.open("rb").read(8), "little")
    header = json.loads(shard.open("rb").read(8 + length)[8:])
    for name, entry in header.items():
        if name != "__metadata__":
            assert entry["dtype"] == "BF16"
            places[name] = (shard, 8 + length + entry["data_offsets"][0], entry["shape"])


def tensor(name):
    """A bfloat16 is the upper half of a float32."""
    shard, start, shape = places[name]
    count = int(numpy.prod(shape))
    words = numpy.fromfile(shard, dtype=numpy.uint16, count=count, offset=start)
    return torch.from_numpy((words.astype(numpy.uint32) << 16).view(numpy.float32).reshape(shape))


heads = config["num_attention_heads"]
width = config["hidden_size"]
head = width // heads


def norm(x):
    return torch.nn.functional.layer_norm(x, (width,), eps=1e-5)


def turned(x):
    """Rotary positions, entry j with j + D/2."""
    time_steps = x.shape[1]
    frequencies = config["rope_theta"] ** (-torch.arange(0, head, 2, dtype=torch.float64) / head)
    angles = torch.outer(torch.arange(time_steps, dtype=torch.float64), frequencies)
    cosine, sine = angles.cos().float(), angles.sin().float()
    a, b = x[..., : head // 2], x[..., head // 2 :]
    return torch.cat([a * cosine - b * sine, b * cosine + a * sine], dim=-1)


def layer(x, prefix):
    split = lambda y: y.view(-1, heads, head).transpose(0, 1)
    normed = norm(x)
    project = lambda name, y: y @ tensor(f"{prefix}.{name}_proj.weight").T
    q, k, v = (split(project(f"self_attn.{name}", normed)) for name in "qkv")
    scores = turned(q) @ turned(k).transpose(1, 2) / head**0.5
    future = torch.ones(scores.shape[1:], dtype=torch.bool).triu(1)
    mixed = scores.masked_fill(future, float("-inf")).softmax(-1) @ v
    x = x + project("self_attn.o", mixed.transpose(0, 1).reshape(x.shape))
    normed = norm(x)
    inner = torch.nn.functional.silu(project("mlp.gate", normed)) * project("mlp.up", normed)
    return x + project("mlp.down", inner)


with torch.no_grad():
    texts = [torch.tensor(request["tokens"]), torch.tensor(request["loss"])]
    table = tensor("model.embed_tokens.weight")
    states = [table[text] for text in texts]
    for i in range(config["num_hidden_layers"]):
        states = [layer(x, f"model.layers.{i}") for x in states]
    first, second = (norm(x) @ table.T for x in states)
    first.numpy().astype("<f4").tofile(out)
    loss = torch.nn.functional.cross_entropy(second[:-1], texts[1][1:])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"loss": loss.item(), "peak": peak, "seconds": time.time() - began, "torch": torch.__version__}))

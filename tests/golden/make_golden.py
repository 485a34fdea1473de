"""Makes the golden files that judge the whole GPU path (model, losses, clipping, AdamW) against PyTorch.

    python3 tests/golden/make_golden.py        needs torch and numpy (written with torch 1.13); a few seconds

Two tiny decoders in plain torch, with the architecture and parameter names of Hugging Face's OlmoForCausalLM
and LlamaForCausalLM. Everything is computed in float64 and then stored as float32 (the initial parameters,
drawn to fit bfloat16 exactly, as bfloat16), so that the oracle is better than the float32 code it judges.
Runs on one thread from fixed seeds: the same bytes each time.

NAME.safetensors:  initial/PARAM, final/PARAM, OBJECTIVE/grad/PARAM, logits [B, T, V], and the batch:
                   tokens [B, T + 1], classes [B, T] and weights [B, T] of the targets tokens[:, 1:]
NAME.json:         configuration; terms, loss and denominator of each objective; the ten training steps
"""

import json
import math
import struct
from pathlib import Path

import numpy
import torch
from torch.nn.functional import embedding, layer_norm, linear, silu

FOLDER = Path(__file__).parent
BATCH, TIME = 3, 11
COMMON = {"residual": "pre_norm", "queryKeyNorm": "none", "biases": [], "activation": "swiglu", "contextLength": 16,
          "positions": {"theta": 10000, "pairing": "half", "share": 1}, "layers": 2, "normEpsilon": 1e-5}
OLMO = {"family": "olmo", **COMMON, "vocabularySize": 61, "width": 24, "heads": 3, "kvHeads": 3, "headWidth": 8,
        "feedForward": 40, "norm": "layer", "tiedEmbedding": True}
LLAMA = {"family": "llama", **COMMON, "vocabularySize": 53, "width": 16, "heads": 4, "kvHeads": 2, "headWidth": 4,
         "feedForward": 28, "norm": "rms", "tiedEmbedding": False}
# What each class of target adds: class 1 is low, 2 possible, 3 high risk.
OBJECTIVES = {
    "cross_entropy": {1: "cross_entropy", 2: "cross_entropy", 3: "cross_entropy"},
    "masked": {1: "cross_entropy", 2: "none", 3: "none"},
    "unlikelihood": {1: "cross_entropy", 2: "cross_entropy", 3: "unlikelihood"},
    "weighted": {1: "cross_entropy", 2: "none", 3: "none"},  # weight · term, over the sum of the weights of terms
}
TRAINING = {"objective": "unlikelihood", "steps": 10, "learningRate": 1e-2, "beta1": 0.9, "beta2": 0.95,
            "epsilon": 1e-8, "weightDecay": 0.1, "clipNorm": 1.0}


def initial_parameters(config):
    """Parameters by Hugging Face name. Norm weights differ from 1 so that their use shows in the logits."""
    width, inner = config["width"], config["feedForward"]
    queries, keys = config["heads"] * config["headWidth"], config["kvHeads"] * config["headWidth"]
    shapes = {"model.embed_tokens.weight": (config["vocabularySize"], width)}
    for i in range(config["layers"]):
        layer = f"model.layers.{i}"
        shapes[f"{layer}.self_attn.q_proj.weight"] = (queries, width)
        shapes[f"{layer}.self_attn.k_proj.weight"] = (keys, width)
        shapes[f"{layer}.self_attn.v_proj.weight"] = (keys, width)
        shapes[f"{layer}.self_attn.o_proj.weight"] = (width, queries)
        shapes[f"{layer}.mlp.gate_proj.weight"] = (inner, width)
        shapes[f"{layer}.mlp.up_proj.weight"] = (inner, width)
        shapes[f"{layer}.mlp.down_proj.weight"] = (width, inner)
        if config["norm"] == "rms":
            shapes[f"{layer}.input_layernorm.weight"] = (width,)
            shapes[f"{layer}.post_attention_layernorm.weight"] = (width,)
    if config["norm"] == "rms":
        shapes["model.norm.weight"] = (width,)
    if not config["tiedEmbedding"]:
        shapes["lm_head.weight"] = (config["vocabularySize"], width)

    def draw(shape):
        noise = torch.randn(shape, dtype=torch.float64)
        value = 1 + 0.2 * noise if len(shape) == 1 else noise * 0.3
        return value.bfloat16().double().requires_grad_()

    return {name: draw(shape) for name, shape in shapes.items()}


def normalise(x, config, weight):
    if config["norm"] == "layer":
        return layer_norm(x, (config["width"],), None, None, config["normEpsilon"])
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + config["normEpsilon"]) * weight


def rotary(x, config):
    """Rotates the pairs (i, i + D/2) of x [B, H, T, D], as transformers' apply_rotary_pos_emb."""
    half = config["headWidth"] // 2
    frequency = config["positions"]["theta"] ** (-torch.arange(half, dtype=torch.float64) / half)
    angle = torch.arange(x.shape[2], dtype=torch.float64)[:, None] * frequency
    first, second = x[..., :half], x[..., half:]
    cosine, sine = angle.cos(), angle.sin()
    return torch.cat((first * cosine - second * sine, second * cosine + first * sine), -1)


def attention(x, p, layer, config):
    batch, time, _ = x.shape

    def heads(kind, count):
        return linear(x, p[f"{layer}.{kind}_proj.weight"]).view(batch, time, count, -1).transpose(1, 2)

    q = rotary(heads("q", config["heads"]), config)
    group = config["heads"] // config["kvHeads"]
    k = rotary(heads("k", config["kvHeads"]), config).repeat_interleave(group, 1)
    v = heads("v", config["kvHeads"]).repeat_interleave(group, 1)
    future = torch.ones(time, time, dtype=torch.bool).triu(1)
    scores = (q @ k.transpose(2, 3) / math.sqrt(config["headWidth"])).masked_fill(future, -math.inf)
    mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, time, -1)
    return linear(mixed, p[f"{layer}.o_proj.weight"])


def decoder(inputs, p, config):
    """Logits [B, T, V] of inputs [B, T]."""
    x = embedding(inputs, p["model.embed_tokens.weight"])
    for i in range(config["layers"]):
        layer = f"model.layers.{i}"
        normal = normalise(x, config, p.get(f"{layer}.input_layernorm.weight"))
        x = x + attention(normal, p, f"{layer}.self_attn", config)
        normal = normalise(x, config, p.get(f"{layer}.post_attention_layernorm.weight"))
        gate, up = (linear(normal, p[f"{layer}.mlp.{kind}_proj.weight"]) for kind in ("gate", "up"))
        x = x + linear(silu(gate) * up, p[f"{layer}.mlp.down_proj.weight"])
    x = normalise(x, config, p.get("model.norm.weight"))
    return linear(x, p.get("lm_head.weight", p["model.embed_tokens.weight"]))


def selective_loss(logits, batch, objective):
    """The loss and its denominator: Σ weight · term / Z, Z the (weighted) number of targets with a term."""
    targets, classes = batch["tokens"][:, 1:, None], batch["classes"]
    every = logits.logsumexp(-1)
    chosen = logits.gather(-1, targets)[..., 0]
    others = logits.scatter(-1, targets, -math.inf).logsumexp(-1)
    terms = {"cross_entropy": every - chosen, "unlikelihood": every - others}  # the latter is -log(1 - p), exactly
    weights = batch["weights"] if objective == "weighted" else torch.ones_like(every)
    total, denominator = 0.0, 0.0
    for risk, kind in OBJECTIVES[objective].items():
        if kind != "none":
            member = (classes == risk) * weights
            total, denominator = total + (member * terms[kind]).sum(), denominator + member.sum()
    return total / denominator, denominator


def decays(name, parameter):
    return parameter.dim() == 2 and name != "model.embed_tokens.weight"


def train(parameters, batch, config):
    """Trains in place on the same batch; returns each step's loss and gradient norm before clipping."""
    groups = [{"params": [p for n, p in parameters.items() if decays(n, p)], "weight_decay": TRAINING["weightDecay"]},
              {"params": [p for n, p in parameters.items() if not decays(n, p)], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=TRAINING["learningRate"], eps=TRAINING["epsilon"],
                                  betas=(TRAINING["beta1"], TRAINING["beta2"]))
    losses, norms = [], []
    for _ in range(TRAINING["steps"]):
        optimizer.zero_grad()
        loss, _ = selective_loss(decoder(batch["tokens"][:, :-1], parameters, config), batch, TRAINING["objective"])
        loss.backward()
        norms.append(rounded(torch.nn.utils.clip_grad_norm_(parameters.values(), TRAINING["clipNorm"])))
        optimizer.step()
        losses.append(rounded(loss))
    return losses, norms


def rounded(scalar):
    """Twelve digits: what float64 agrees on from one machine to the next."""
    return float(f"{float(scalar):.12g}")


def write_safetensors(path, tensors):
    """The format by hand: u64 header length, JSON header, the tensors' little-endian bytes."""
    header, body = {}, b""
    for name, tensor in tensors.items():
        values = tensor.detach().float().contiguous().numpy().astype("<f4")
        kind = "BF16" if name.startswith("initial/") else "F32"
        data = (values.view("<u4") >> 16).astype("<u2").tobytes() if kind == "BF16" else values.tobytes()
        header[name] = {"dtype": kind, "shape": list(values.shape), "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def make(name, config, seed, stored_gradients):
    torch.manual_seed(seed)
    parameters = initial_parameters(config)
    batch = {
        "tokens": torch.randint(config["vocabularySize"], (BATCH, TIME + 1)),
        "classes": torch.randint(1, 4, (BATCH, TIME)),
        "weights": (2 * torch.rand(BATCH, TIME)).double(),
    }
    logits = decoder(batch["tokens"][:, :-1], parameters, config)
    tensors = {**batch, "logits": logits}
    tensors.update({f"initial/{n}": p.detach().clone() for n, p in parameters.items()})
    objectives = {}
    for objective in OBJECTIVES:
        loss, denominator = selective_loss(logits, batch, objective)
        objectives[objective] = {"terms": OBJECTIVES[objective], "weighted": objective == "weighted",
                                 "loss": rounded(loss), "denominator": rounded(denominator)}
        if objective in stored_gradients:
            gradients = torch.autograd.grad(loss, list(parameters.values()), retain_graph=True)
            tensors.update({f"{objective}/grad/{n}": g for n, g in zip(parameters, gradients)})
    losses, norms = train(parameters, batch, config)
    tensors.update({f"final/{n}": p for n, p in parameters.items()})
    write_safetensors(FOLDER / f"{name}.safetensors", tensors)
    decayed = [n for n, p in parameters.items() if decays(n, p)]
    training = {**TRAINING, "decayed": decayed, "losses": losses, "gradientNorms": norms}
    report = {"config": config, "objectives": objectives, "training": training}
    (FOLDER / f"{name}.json").write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    make("olmo", OLMO, 7, list(OBJECTIVES))
    make("llama", LLAMA, 2, ["cross_entropy", "unlikelihood"])  # two are enough: it is the model that is new

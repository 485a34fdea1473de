"""Makes a tiny folder of each family in Hugging Face's layout, and what PyTorch computes for it.

    /usr/bin/python3 tests/golden/make_families.py        needs torch and numpy (written with torch 1.13); a few seconds

The forward passes are written from the published models, each under its own names of tensors and fields, and know
nothing of the project's. Everything is computed in float64 from weights that fit their stored type exactly.

families/NAME/config.json, model.safetensors   as transformers writes them: sorted tensors, one type, "format": "pt"
families/NAME/golden.safetensors               tokens [B, T + 1], classes [B, T], logits [B, T, V], grad/TENSOR
families/NAME/golden.json                      the loss
"""

import json
import math
import struct
from pathlib import Path

import torch
from torch.nn.functional import embedding, gelu, layer_norm, linear, silu

from make_golden import rounded, selective_loss

FOLDER = Path(__file__).parent / "families"
BATCH, TIME = 2, 9
SIZES = {"vocab_size": 29, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
LLAMA_LIKE = {**SIZES, "num_key_value_heads": 1, "intermediate_size": 20, "hidden_act": "silu",
              "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": False}
BOOKKEEPING = {"attention_dropout": 0.0, "bos_token_id": 1, "eos_token_id": 2, "initializer_range": 0.02,
               "torch_dtype": "float32", "transformers_version": "4.57.1", "use_cache": True}


# ---- The models, each as it is published ----

def rms(x, weight, epsilon):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + epsilon) * weight


def frequencies(width, theta, scaling):
    base = theta ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    kind = scaling and scaling.get("rope_type", scaling.get("type"))
    if kind == "linear":
        return base / scaling["factor"]
    if kind == "llama3":
        old, factor = scaling["original_max_position_embeddings"], scaling["factor"]
        low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
        length = 2 * math.pi / base
        smooth = (old / length - low) / (high - low)
        middle = (1 - smooth) * base / factor + smooth * base
        return torch.where(length > old / low, base / factor, torch.where(length < old / high, base, middle))
    return base


def turn(x, frequency):
    """Turns the first entries of x [B, H, T, D], in halves, by its positions."""
    half = len(frequency)
    angle = torch.arange(x.shape[2], dtype=torch.float64)[:, None] * frequency
    first, second, rest = x[..., :half], x[..., half:2 * half], x[..., 2 * half:]
    return torch.cat((first * angle.cos() - second * angle.sin(), second * angle.cos() + first * angle.sin(), rest), -1)


def attend(q, k, v):
    """q [B, H, T, D] with k and v [B, G, T, D] -> [B, T, H * D]."""
    batch, heads, time, width = q.shape
    k, v = (x.repeat_interleave(heads // x.shape[1], 1) for x in (k, v))
    future = torch.ones(time, time, dtype=torch.bool).triu(1)
    scores = (q @ k.transpose(2, 3) / math.sqrt(width)).masked_fill(future, -math.inf)
    return (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, time, -1)


def split_heads(x, count):
    return x.view(*x.shape[:2], count, -1).transpose(1, 2)


def llama_like(inputs, p, c):
    """OLMo 2, Llama, Mistral, Qwen 2 and 3: what a file has decides what is done."""
    heads, kv_heads, epsilon = c["num_attention_heads"], c["num_key_value_heads"], c["rms_norm_eps"]
    width = c.get("head_dim") or c["hidden_size"] // heads
    scaling = c.get("rope_parameters") or c.get("rope_scaling")
    frequency = frequencies(width, c.get("rope_theta") or scaling["rope_theta"], scaling)
    x = embedding(inputs, p["model.embed_tokens.weight"])
    for i in range(c["num_hidden_layers"]):
        name = f"model.layers.{i}"

        def project(kind, y):
            return linear(y, p[f"{name}.{kind}.weight"], p.get(f"{name}.{kind}.bias"))

        def norm(kind, y):
            weight = p.get(f"{name}.{kind}.weight")
            return y if weight is None else rms(y, weight, epsilon)

        def attention(y):
            q, k, v = (project(f"self_attn.{kind}_proj", y) for kind in "qkv")
            if c["model_type"] == "olmo2":  # over all heads
                q, k = norm("self_attn.q_norm", q), norm("self_attn.k_norm", k)
            q, k, v = split_heads(q, heads), split_heads(k, kv_heads), split_heads(v, kv_heads)
            if c["model_type"] == "qwen3":  # over each head
                q, k = norm("self_attn.q_norm", q), norm("self_attn.k_norm", k)
            return project("self_attn.o_proj", attend(turn(q, frequency), turn(k, frequency), v))

        def feed_forward(y):
            return project("mlp.down_proj", silu(project("mlp.gate_proj", y)) * project("mlp.up_proj", y))

        if c["model_type"] == "olmo2":
            x = x + norm("post_attention_layernorm", attention(x))
            x = x + norm("post_feedforward_layernorm", feed_forward(x))
        else:
            x = x + attention(norm("input_layernorm", x))
            x = x + feed_forward(norm("post_attention_layernorm", x))
    x = rms(x, p["model.norm.weight"], epsilon)
    return linear(x, p.get("lm_head.weight", p["model.embed_tokens.weight"]))


def gpt_neox(inputs, p, c):
    heads, width = c["num_attention_heads"], c["hidden_size"] // c["num_attention_heads"]
    frequency = frequencies(int(width * c["rotary_pct"]), c["rotary_emb_base"], None)

    def norm(name, y):
        return layer_norm(y, (c["hidden_size"],), p[f"{name}.weight"], p[f"{name}.bias"], c["layer_norm_eps"])

    x = embedding(inputs, p["gpt_neox.embed_in.weight"])
    for i in range(c["num_hidden_layers"]):
        name = f"gpt_neox.layers.{i}"

        def project(kind, y):
            return linear(y, p[f"{name}.{kind}.weight"], p.get(f"{name}.{kind}.bias"))

        def feed_forward(y):
            return project("mlp.dense_4h_to_h", gelu(project("mlp.dense_h_to_4h", norm(f"{name}.post_attention_layernorm", y))))

        joined = project("attention.query_key_value", norm(f"{name}.input_layernorm", x))
        q, k, v = joined.view(*x.shape[:2], heads, 3 * width).transpose(1, 2).chunk(3, -1)
        attended = project("attention.dense", attend(turn(q, frequency), turn(k, frequency), v))
        x = x + attended + feed_forward(x if c["use_parallel_residual"] else x + attended)
    return linear(norm("gpt_neox.final_layer_norm", x), p["embed_out.weight"])


def gpt2(inputs, p, c):
    def norm(name, y):
        return layer_norm(y, (c["n_embd"],), p[f"{name}.weight"], p[f"{name}.bias"], c["layer_norm_epsilon"])

    def project(name, y):  # Conv1D: weights are [in, out]
        return y @ p[f"{name}.weight"] + p[f"{name}.bias"]

    def gelu_new(y):
        return 0.5 * y * (1 + torch.tanh(math.sqrt(2 / math.pi) * (y + 0.044715 * y ** 3)))

    x = p["transformer.wte.weight"][inputs] + p["transformer.wpe.weight"][: inputs.shape[1]]
    for i in range(c["n_layer"]):
        name = f"transformer.h.{i}"
        q, k, v = (split_heads(y, c["n_head"]) for y in project(f"{name}.attn.c_attn", norm(f"{name}.ln_1", x)).chunk(3, -1))
        x = x + project(f"{name}.attn.c_proj", attend(q, k, v))
        x = x + project(f"{name}.mlp.c_proj", gelu_new(project(f"{name}.mlp.c_fc", norm(f"{name}.ln_2", x))))
    return linear(norm("transformer.ln_f", x), p["transformer.wte.weight"])


# ---- Their tensors ----

def llama_like_shapes(c):
    width, inner, vocabulary = c["hidden_size"], c["intermediate_size"], c["vocab_size"]
    head = c.get("head_dim") or width // c["num_attention_heads"]
    queries, keys = c["num_attention_heads"] * head, c["num_key_value_heads"] * head
    shapes = {"model.embed_tokens.weight": (vocabulary, width), "model.norm.weight": (width,)}
    if not c["tie_word_embeddings"]:
        shapes["lm_head.weight"] = (vocabulary, width)
    for i in range(c["num_hidden_layers"]):
        layer = f"model.layers.{i}"
        matrices = {"self_attn.q_proj": (queries, width), "self_attn.k_proj": (keys, width),
                    "self_attn.v_proj": (keys, width), "self_attn.o_proj": (width, queries),
                    "mlp.gate_proj": (inner, width), "mlp.up_proj": (inner, width), "mlp.down_proj": (width, inner)}
        for name, shape in matrices.items():
            shapes[f"{layer}.{name}.weight"] = shape
            if has_bias(c, name):
                shapes[f"{layer}.{name}.bias"] = shape[:1]
        first = "post_feedforward_layernorm" if c["model_type"] == "olmo2" else "input_layernorm"
        for name in (first, "post_attention_layernorm"):
            shapes[f"{layer}.{name}.weight"] = (width,)
        if c["model_type"] in ("olmo2", "qwen3"):
            each = c["model_type"] == "qwen3"
            shapes[f"{layer}.self_attn.q_norm.weight"] = (head if each else queries,)
            shapes[f"{layer}.self_attn.k_norm.weight"] = (head if each else keys,)
    return shapes


def has_bias(c, name):
    if c["model_type"] == "qwen2":
        return name in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
    return c.get("attention_bias" if name.startswith("self_attn") else "mlp_bias", False)


def gpt_neox_shapes(c):
    width, inner = c["hidden_size"], c["intermediate_size"]
    shapes = {"gpt_neox.embed_in.weight": (c["vocab_size"], width), "embed_out.weight": (c["vocab_size"], width)}
    add_norm(shapes, "gpt_neox.final_layer_norm", width)
    for i in range(c["num_hidden_layers"]):
        layer = f"gpt_neox.layers.{i}"
        for name, rows, columns in [("attention.query_key_value", 3 * width, width), ("attention.dense", width, width),
                                    ("mlp.dense_h_to_4h", inner, width), ("mlp.dense_4h_to_h", width, inner)]:
            shapes[f"{layer}.{name}.weight"] = (rows, columns)
            if c["attention_bias"] or name.startswith("mlp"):
                shapes[f"{layer}.{name}.bias"] = (rows,)
        add_norm(shapes, f"{layer}.input_layernorm", width)
        add_norm(shapes, f"{layer}.post_attention_layernorm", width)
    return shapes


def gpt2_shapes(c):
    width, inner = c["n_embd"], c["n_inner"] or 4 * c["n_embd"]
    shapes = {"transformer.wte.weight": (c["vocab_size"], width), "transformer.wpe.weight": (c["n_positions"], width)}
    add_norm(shapes, "transformer.ln_f", width)
    for i in range(c["n_layer"]):
        layer = f"transformer.h.{i}"
        for name, rows, columns in [("attn.c_attn", width, 3 * width), ("attn.c_proj", width, width),
                                    ("mlp.c_fc", width, inner), ("mlp.c_proj", inner, width)]:
            shapes[f"{layer}.{name}.weight"] = (rows, columns)
            shapes[f"{layer}.{name}.bias"] = (columns,)
        add_norm(shapes, f"{layer}.ln_1", width)
        add_norm(shapes, f"{layer}.ln_2", width)
    return shapes


def add_norm(shapes, name, width):
    shapes[f"{name}.weight"] = shapes[f"{name}.bias"] = (width,)


# ---- The folders ----

LLAMA3 = {"factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 64,
          "rope_type": "llama3"}
NEOX = {**SIZES, "architectures": ["GPTNeoXForCausalLM"], "model_type": "gpt_neox", "intermediate_size": 24,
        "hidden_act": "gelu", "max_position_embeddings": 32, "layer_norm_eps": 1e-5, "rotary_pct": 0.5,
        "rotary_emb_base": 10000, "tie_word_embeddings": False}
FAMILIES = {
    "olmo2": (llama_like, llama_like_shapes, "F32", {
        **LLAMA_LIKE, "architectures": ["Olmo2ForCausalLM"], "model_type": "olmo2", "attention_bias": False,
        "rms_norm_eps": 1e-6, "rope_theta": 500000, "rope_scaling": None}),
    "llama3": (llama_like, llama_like_shapes, "BF16", {
        **LLAMA_LIKE, "architectures": ["LlamaForCausalLM"], "model_type": "llama", "attention_bias": False,
        "head_dim": 8, "mlp_bias": False, "pretraining_tp": 1, "rope_scaling": LLAMA3, "tie_word_embeddings": True}),
    "llama_linear": (llama_like, llama_like_shapes, "F16", {
        **LLAMA_LIKE, "architectures": ["LlamaForCausalLM"], "model_type": "llama", "attention_bias": True,
        "hidden_act": "swish", "mlp_bias": True, "rope_scaling": {"type": "linear", "factor": 4.0}}),
    "mistral": (llama_like, llama_like_shapes, "BF16", {
        **LLAMA_LIKE, "architectures": ["MistralForCausalLM"], "model_type": "mistral", "head_dim": None,
        "rope_theta": 1000000.0, "sliding_window": 12}),
    "qwen2": (llama_like, llama_like_shapes, "BF16", {
        **LLAMA_LIKE, "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "max_window_layers": 1,
        "num_attention_heads": 4, "num_key_value_heads": 2, "rope_theta": 1000000.0, "sliding_window": 4,
        "tie_word_embeddings": True, "use_mrope": False, "use_sliding_window": False}),
    "qwen3": (llama_like, llama_like_shapes, "F32", {
        **LLAMA_LIKE, "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "attention_bias": False,
        "head_dim": 12, "layer_types": ["full_attention"] * 2, "max_window_layers": 2, "rms_norm_eps": 1e-6,
        "rope_parameters": {"rope_theta": 1000000.0, "rope_type": "default"}, "rope_theta": None,
        "sliding_window": None, "use_sliding_window": False}),
    "gpt_neox": (gpt_neox, gpt_neox_shapes, "F16", {
        **NEOX, "attention_bias": True, "classifier_dropout": 0.1, "hidden_dropout": 0.0,
        "use_parallel_residual": True}),
    "gpt_neox_sequential": (gpt_neox, gpt_neox_shapes, "F32", {
        **NEOX, "attention_bias": False, "use_parallel_residual": False}),
    "gpt2": (gpt2, gpt2_shapes, "F32", {
        "activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.1, "embd_pdrop": 0.1,
        "layer_norm_epsilon": 1e-5, "model_type": "gpt2", "n_ctx": 16, "n_embd": 16, "n_head": 2, "n_inner": None,
        "n_layer": 2, "n_positions": 16, "reorder_and_upcast_attn": False, "resid_pdrop": 0.1,
        "scale_attn_by_inverse_layer_idx": False, "scale_attn_weights": True, "summary_activation": None,
        "summary_type": "cls_index", "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}},
        "vocab_size": 29}),
}


def draw(name, shape, kind):
    noise = torch.randn(shape, dtype=torch.float64)
    if len(shape) == 2:
        value = 0.4 * noise
    elif name.endswith("bias"):
        value = 0.3 * noise
    else:
        value = 1 + 0.2 * noise
    exact = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}[kind]
    return value.to(exact).double().requires_grad_()


def write_safetensors(path, tensors, kind):
    """As the format's own library: a compact header, names in order, padded to 8 bytes."""
    header, body = {"__metadata__": {"format": "pt"}}, b""
    for name in sorted(tensors):
        values = tensors[name].detach().float().contiguous()
        if kind == "BF16":
            data = (values.numpy().view("<u4") >> 16).astype("<u2").tobytes()
        else:
            data = values.numpy().astype("<f4" if kind == "F32" else "<f2").tobytes()
        header[name] = {"dtype": kind, "shape": list(values.shape), "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def make(name, seed):
    forward, shapes, kind, config = FAMILIES[name]
    torch.manual_seed(seed)
    p = {tensor: draw(tensor, shape, kind) for tensor, shape in shapes(config).items()}
    batch = {"tokens": torch.randint(config["vocab_size"], (BATCH, TIME + 1)),
             "classes": torch.randint(1, 4, (BATCH, TIME))}
    logits = forward(batch["tokens"][:, :-1], p, config)
    loss, _ = selective_loss(logits, batch, "unlikelihood")
    gradients = torch.autograd.grad(loss, list(p.values()))
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({**BOOKKEEPING, **config}, indent=2, sort_keys=True)
    (folder / "config.json").write_text(text + "\n")
    write_safetensors(folder / "model.safetensors", p, kind)
    golden = {**batch, "logits": logits, **{f"grad/{n}": g for n, g in zip(p, gradients)}}
    write_safetensors(folder / "golden.safetensors", golden, "F32")
    (folder / "golden.json").write_text(json.dumps({"loss": rounded(loss), "dtype": kind}, indent=2) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for seed, family in enumerate(FAMILIES):
        make(family, seed)

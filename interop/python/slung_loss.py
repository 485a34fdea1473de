"""The selective loss of SLUNG (Wang et al., 2025) in PyTorch; needs nothing else, torch 1.13 or later.

    L = sum_i  weight_i * term_class(i)(m_i) / Z

Every token has a risk class: 0 unlabelled, 1 low, 2 possible, 3 high. An objective gives each class a term or none. A term
depends on the token's logits z through its log-odds alone, m = z_y - logsumexp(z without y), which keeps its digits where
log(1 - p) has none left:

    cross_entropy  -log p       = softplus(-m)
    unlikelihood   -log (1 - p) = softplus(m)       gradient bounded by 1, and not zero where p rounds to 1

A class without a term is masked: its tokens are read, and not learned.
"""

from dataclasses import dataclass

import torch
from torch.nn.functional import logsigmoid

CROSS_ENTROPY = "cross_entropy"
UNLIKELIHOOD = "unlikelihood"
UNLIKELIHOOD_CLAMPED = "unlikelihood_clamped"  # as the paper's code: -log(max(1 - p, 1e-9)), zero gradient beyond

#: The term of each class, as the paper assigns them.
OBJECTIVES = {
    "direct": (CROSS_ENTROPY,) * 4,
    "masked": (CROSS_ENTROPY, CROSS_ENTROPY, None, None),
    "unlikelihood": (CROSS_ENTROPY, CROSS_ENTROPY, CROSS_ENTROPY, UNLIKELIHOOD),
    "unlikelihood_clamped": (CROSS_ENTROPY, CROSS_ENTROPY, CROSS_ENTROPY, UNLIKELIHOOD_CLAMPED),
}

#: What the sum of a step is divided by: tokens with a term; those and each text's first token, which nothing predicts, as
#: the paper's code counts; every target, masked or not; or the weights of tokens with a term.
DENOMINATORS = ("active", "paper", "all", "weights")


def log_odds(logits, targets):
    """log p - log(1 - p) of each target; logits [N, V], targets [N]. In float32 whatever the logits are in."""
    logits = logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
    at = targets.unsqueeze(-1)
    others = logits.scatter(-1, at, float("-inf"))
    return logits.gather(-1, at).squeeze(-1) - torch.logsumexp(others, -1)


def term_value(term, m):
    """The loss of tokens with log-odds m, in nats."""
    if term == CROSS_ENTROPY:
        return -logsigmoid(m)
    if term == UNLIKELIHOOD:
        return -logsigmoid(-m)
    if term == UNLIKELIHOOD_CLAMPED:
        return -torch.log(torch.clamp(1 - torch.sigmoid(m), min=1e-9))
    raise ValueError(f"There is no term {term!r}. Choose {CROSS_ENTROPY}, {UNLIKELIHOOD} or {UNLIKELIHOOD_CLAMPED}.")


def terms_of(objective):
    """The four terms of an objective by its name, or of a tuple of four terms."""
    if isinstance(objective, str):
        if objective not in OBJECTIVES:
            raise ValueError(f"There is no objective {objective!r}. Choose one of {', '.join(OBJECTIVES)}.")
        return OBJECTIVES[objective]
    if len(objective) != 4:
        raise ValueError(f"An objective has a term (or None) for each of four classes, not for {len(objective)}.")
    return tuple(objective)


@dataclass
class Targets:
    """What a batch predicts, flat; all tensors [N]."""

    ids: torch.Tensor
    #: The risk class of each.
    classes: torch.Tensor
    #: False where a position predicts nothing: padding.
    predicted: torch.Tensor
    weights: torch.Tensor
    #: The classes of the first tokens of texts, which nothing predicts.
    first_classes: torch.Tensor


def shifted_targets(input_ids, classes, attention_mask=None, weights=None):
    """What a causal model predicts from rows of texts [B, T]: at each position the next token, [B * (T - 1)].

    Rows may be padded at either end; `attention_mask` is 0 there. The class at i is that of token i.
    """
    is_text = torch.ones_like(input_ids) if attention_mask is None else attention_mask
    is_text = is_text.bool()
    if weights is None:
        weights = torch.ones(input_ids.shape, device=input_ids.device)
    before = torch.zeros_like(is_text)
    before[:, 1:] = is_text[:, :-1]
    return Targets(
        ids=input_ids[:, 1:].reshape(-1),
        classes=classes[:, 1:].reshape(-1),
        predicted=(is_text[:, 1:] & is_text[:, :-1]).reshape(-1),
        weights=weights[:, 1:].reshape(-1),
        first_classes=classes[is_text & ~before],
    )


def selective_sum(logits, targets, objective):
    """The sum of weight * term over a batch. Logits [N, V]; rows without a term cost nothing and get no gradient."""
    total = logits.sum() * 0.0  # a graph, even where every token is masked
    for risk, term in enumerate(terms_of(objective)):
        if term is None:
            continue
        rows = torch.nonzero(_active(targets, risk)).squeeze(-1)
        if rows.numel() == 0:
            continue
        values = term_value(term, log_odds(logits[rows], targets.ids[rows]))
        total = total + (targets.weights[rows].to(values.dtype) * values).sum()
    return total


def divisor(batches, objective, denominator="active"):
    """Z, counted over all micro-batches of an optimiser step. A list of Targets in, a number out."""
    if denominator not in DENOMINATORS:
        raise ValueError(f"There is no denominator {denominator!r}. Choose one of {', '.join(DENOMINATORS)}.")
    terms = terms_of(objective)
    with_term = [risk for risk, term in enumerate(terms) if term is not None]
    active = sum(int(_active(batch, risk).sum()) for batch in batches for risk in with_term)
    if active == 0:
        raise ValueError("Cannot divide the loss of this step: every token is masked. Use batches with low-risk tokens.")
    if denominator == "active":
        return active
    if denominator == "all":
        return sum(int(batch.predicted.sum()) for batch in batches)
    if denominator == "paper":
        first = sum(int((batch.first_classes == risk).sum()) for batch in batches for risk in with_term)
        return active + first
    weights = sum(float(batch.weights[_active(batch, risk)].sum()) for batch in batches for risk in with_term)
    if weights <= 0:
        raise ValueError(f"Cannot divide the loss of this step by the sum of its weights: it is {weights}.")
    return weights


def selective_loss(logits, input_ids, classes, objective, denominator="active", attention_mask=None, weights=None, z=None):
    """The loss of rows of texts. Logits [B, T, V] as a causal model gives them; the others [B, T].

    Give `z`, from `divisor` over all micro-batches, when a step has several.
    """
    targets = shifted_targets(input_ids, classes, attention_mask, weights)
    rows = logits[:, :-1].reshape(-1, logits.shape[-1])
    if z is None:
        z = divisor([targets], objective, denominator)
    return selective_sum(rows, targets, objective) / z


def _active(targets, risk):
    return targets.predicted & (targets.classes == risk) & (targets.weights != 0)

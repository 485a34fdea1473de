"""Makes probe.json: what scikit-learn finds on made-up features, to judge src/eval/probe.ts and src/eval/auroc.ts.

    /usr/bin/python3 tests/golden/probe_sklearn.py      needs numpy and scikit-learn >= 1.2 (written with 1.2.1); a second

Features are whole numbers of hundredths, stored as int16 in base64. Each case has the solution to full precision
(newton-cholesky, tol 1e-12) and the AUROC of the reference's own call, LogisticRegression(class_weight="balanced",
max_iter=5000). Its lbfgs stops when the loss improves by less than 2e-9 of itself, which is early where columns differ
much in size: 0.003 of AUROC in the third case. Runs from fixed seeds.
"""

import base64
import json
from pathlib import Path

import numpy
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score


def made_up(seed, train, test, width, scales, offset, separation):
    """Two overlapping Gaussians, mixed so that columns are correlated; as many positives as negatives."""
    random = numpy.random.default_rng(seed)
    labels = numpy.arange(train + test) % 2
    direction = random.standard_normal(width)
    plain = random.standard_normal((train + test, width))
    plain += separation * numpy.outer(labels - 0.5, direction / numpy.linalg.norm(direction))
    mixing = numpy.eye(width) + 0.3 * random.standard_normal((width, width))
    hundredths = numpy.rint(100 * (plain @ mixing * scales(width) + offset)).astype(int)
    assert abs(hundredths).max() < 2**15
    return hundredths, labels


def solve(name, train, test, width, scales=lambda width: 1.0, offset=0.0, separation=2.0, c=1.0, seed=0):
    hundredths, labels = made_up(seed, train, test, width, scales, offset, separation)
    features = hundredths / 100
    x, y, held, truth = features[:train], labels[:train], features[train:], labels[train:]
    exact = LogisticRegression(C=c, solver="newton-cholesky", tol=1e-12, max_iter=1000).fit(x, y)
    reference = LogisticRegression(C=c, class_weight="balanced", max_iter=5000).fit(x, y)
    return {
        "name": name, "width": width, "train": train, "C": c,
        "hundredths": base64.b64encode(hundredths.astype("<i2").tobytes()).decode(), "labels": digits(labels),
        "weights": exact.coef_[0].tolist(), "intercept": float(exact.intercept_[0]),
        "auroc": roc_auc_score(truth, exact.predict_proba(held)[:, 1]),
        "referenceAuroc": roc_auc_score(truth, reference.predict_proba(held)[:, 1]),
    }


def ties(seed=3, count=60):
    random = numpy.random.default_rng(seed)
    labels = random.integers(0, 2, count)
    scores = random.integers(0, 5, count) + labels
    return {"scores": digits(scores), "labels": digits(labels), "auroc": roc_auc_score(labels, scores)}


def digits(values):
    return "".join(map(str, values))


if __name__ == "__main__":
    golden = {
        "cases": [
            solve("overlapping", 120, 60, 12, seed=1),
            solve("more features than examples", 30, 30, 40, seed=2, separation=4.0),
            solve("columns of very different size, far from 0", 100, 50, 5, offset=30.0, seed=4,
                  scales=lambda width: numpy.geomspace(0.1, 20, width)),
            solve("a strong penalty", 100, 50, 5, c=0.01, seed=5),
        ],
        "ties": ties(),
    }
    (Path(__file__).parent / "probe.json").write_text(json.dumps(golden, indent=2) + "\n")

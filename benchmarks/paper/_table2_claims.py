"""Table 2's numbers, and what its text says of them, beside what was measured."""

import math
from collections.abc import Iterable
from typing import Any

from benchmarks._claims import Claim, claim
from benchmarks._optimizers import ADAM, BY_LABEL, ISGD_LBFGS, SGD
from benchmarks.paper._rows import by_seed, medians, where

ALPHAS = (0.001, 0.01, 0.1, 1.0, 2.0, 10.0)
BATCHES = (32, 128, 512, 0)  # 0: all images
PAPER = {  # test accuracies by optimiser and batch size, in the order of ALPHAS
    ("SGD", 32): (0.907, 0.950, 0.978, 0.936, 0.217, 0.096),
    ("Adam", 32): (0.966, 0.969, 0.871, 0.432, 0.415, 0.131),
    ("ISGD", 32): (0.903, 0.950, 0.975, 0.978, 0.973, 0.971),
    ("SGD", 128): (0.857, 0.926, 0.967, 0.973, 0.101, 0.089),
    ("Adam", 128): (0.972, 0.973, 0.895, 0.508, 0.413, 0.150),
    ("ISGD", 128): (0.853, 0.924, 0.968, 0.978, 0.977, 0.967),
    ("SGD", 512): (0.665, 0.894, 0.942, 0.975, 0.219, 0.114),
    ("Adam", 512): (0.970, 0.971, 0.939, 0.626, 0.508, 0.170),
    ("ISGD", 512): (0.691, 0.895, 0.943, 0.975, 0.976, 0.969),
    ("SGD", 0): (0.131, 0.666, 0.886, 0.945, 0.242, 0.012),
    ("Adam", 0): (0.919, 0.853, 0.725, 0.459, 0.391, 0.364),
    ("ISGD", 0): (0.141, 0.626, 0.887, 0.941, 0.952, 0.976),
}
PAPERS = (SGD, ADAM, ISGD_LBFGS)  # the optimisers that the paper compares
CLOSE = 0.02  # of an accuracy, that counts as the same
COLLAPSED = 0.5
SMALL_ALPHAS, SMALL_BATCHES = ALPHAS[:2], BATCHES[:2]  # the paper's "small" has no numbers


def table2_claims(rows: list[dict[str, Any]], *, is_mnist: bool) -> list[Claim]:
    """Whether SGD and Adam collapse, ISGD does not, and both agree where α and the batch are small.

    Every seed must bear a claim out. On data that are not the paper's, all of this is our question.
    """
    claims = []
    for batch in BATCHES:
        found = [row["optimizer"] for row in rows if row["batch"] == batch]
        for name in dict.fromkeys([*(method.label for method in PAPERS), *found]):
            asked = not is_mnist or BY_LABEL[name] not in PAPERS
            claims.append(_large_claim(rows, name, batch, asked=asked))
            if is_mnist and name in found and not asked:
                claims.append(_accuracy_claim(rows, name, batch))
        if batch in SMALL_BATCHES:
            claims += [_same_claim(rows, name, batch, asked=not is_mnist) for name in (SGD.label, ADAM.label)]
    return claims


def _large_claim(rows: list[dict[str, Any]], name: str, batch: int, *, asked: bool) -> Claim:
    """That an optimiser is accurate at the largest α, or collapses there."""
    stable = BY_LABEL[name].implicit
    paper = ", ".join(f"{v:.3f}" for v in PAPER[paper_row(name), batch])
    statement = f"{_size(batch)}, {name}: {'accurate' if stable else 'collapses'} at α = 10 ({paper})"
    seeds = accuracies(rows, name, batch)
    held = [s[-1] >= max(s[:-1]) - CLOSE if stable else s[-1] < COLLAPSED for s in seeds]
    shown = ", ".join(f"{v:.3f}" for v in medians(rows, "accuracy", optimizer=name, batch=batch))
    ours = f"{shown}; on {sum(held)} of {len(held)} seeds"
    return claim(statement, ours, all(held), measured=seeds, asked=asked)


def _accuracy_claim(rows: list[dict[str, Any]], name: str, batch: int) -> Claim:
    """That every accuracy is the paper's."""
    paper, seeds = PAPER[paper_row(name), batch], accuracies(rows, name, batch)
    apart = {
        alpha: expected
        for k, (alpha, expected) in enumerate(zip(ALPHAS, paper, strict=True))
        if any(abs(seed[k] - expected) > CLOSE for seed in seeds)
    }
    others = ", ".join(
        f"{_range(s[ALPHAS.index(alpha)] for s in seeds)} against {expected:.3f} at α = {alpha:g}"
        for alpha, expected in apart.items()
    )
    count = f"{len(ALPHAS) - len(apart)} of {len(ALPHAS)} within {CLOSE:g}"
    return claim(
        f"{_size(batch)}, {name}: the paper's accuracies", f"{count}; {others}".removesuffix("; "), not apart
    )


def _same_claim(rows: list[dict[str, Any]], name: str, batch: int, *, asked: bool) -> Claim:
    """That ISGD is as accurate as another optimiser at small α."""
    shown = [f"{PAPER[who, batch][ALPHAS.index(a)]:.3f}" for a in SMALL_ALPHAS for who in ("ISGD", name)]
    statement = (
        f"{_size(batch)}: {ISGD_LBFGS.label} is as accurate as {name} at α = 0.001 and 0.01 "
        f"({shown[0]} against {shown[1]}, {shown[2]} against {shown[3]})"
    )
    of = lambda who: where(rows, optimizer=who, batch=batch)
    pairs = [(a["accuracy"], b["accuracy"]) for a, b in by_seed(of(ISGD_LBFGS.label), of(name))]
    small = range(len(SMALL_ALPHAS))
    held = [abs(a[k] - b[k]) <= CLOSE for k in small for a, b in pairs]
    text = ", ".join(
        f"{_range(a[k] for a, _ in pairs)} against {_range(b[k] for _, b in pairs)}" for k in small if pairs
    )
    return claim(statement, text, all(held), measured=pairs, asked=asked)


def paper_row(name: str) -> str:
    """What the paper's table calls an optimiser."""
    return "ISGD" if BY_LABEL[name].implicit else name


def accuracies(rows: list[dict[str, Any]], optimizer: str, batch: int) -> list[list[float]]:
    """Accuracies for every α, of every seed."""
    return [row["accuracy"] for row in where(rows, optimizer=optimizer, batch=batch)]


def sizes(rows: list[dict[str, Any]]) -> list[int]:
    """The batch sizes, all images last."""
    return sorted({row["batch"] for row in rows}, key=lambda size: size or math.inf)


def _range(values: Iterable[float]) -> str:
    """Least and largest accuracy of the seeds."""
    low, *_, high = sorted(values) * 2
    return f"{low:.3f}" if low == high else f"{low:.3f} to {high:.3f}"


def _size(batch: int) -> str:
    return f"b = {batch or 'full'}"

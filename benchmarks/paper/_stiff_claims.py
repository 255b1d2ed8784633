"""What the paper says of the stiff quadratic, beside what was measured."""

import itertools
import math
from typing import Any

from benchmarks._claims import Claim, claim, number

K = (1e-4, 1e4)
TOLERANCE = 1e-3
ABOUT = 4.0  # factor to either side that "about" allows: the limit lies between two learning rates tried


def stiff_claims(rows: list[dict[str, Any]]) -> list[Claim]:
    """Eqs. 7, 8, 10 and 11 and what the paper concludes from them."""
    igd = {r["alpha"]: r["igd_steps"] for r in rows if r["igd_steps"]}
    adam = {r["alpha"]: r["adam_steps"] for r in rows if r["adam_steps"]}
    fastest, largest = min(adam.values(), default=None), max(r["alpha"] for r in rows)
    decays = [r["igd_decay"] for r in sorted(rows, key=lambda r: r["alpha"])]
    off = max(abs(1 - r["gd_decay"] / r["gd_bound"]) for r in rows)
    return [
        claim(
            "Eq. 7: the loss of GD changes by at most max (1 − αKᵢ)² per step",
            f"the larger coordinate's factor is Eq. 7's to {number(off)}",
            off < 1e-6,
        ),
        claim(
            "Eq. 8: that of IGD by at most max 1/(1 + αKᵢ)²",
            f"the larger coordinate's factor D is Eq. 8's, 1 − D to {number(_off_one(rows))}",
            _off_one(rows) < 1e-5,
        ),
        *_stability_claims(rows),
        claim(
            "D of IGD is below 1 for every α, and smaller for larger α",
            f"from 1 − {number(1 - decays[0])} to {number(decays[-1])}",
            decays[0] < 1 and all(a > b for a, b in itertools.pairwise(decays)),
        ),
        claim(
            "large steps of IGD need few iterations",
            f"{igd.get(largest)} steps to |θ| ≤ {TOLERANCE} at α = {largest:g}",
            (igd.get(largest) or math.inf) < 100,
        ),
        _decay_claim(rows, "gd_loss_decay", "Eq. 10: the loss of GD changes by α‖∇L‖²(−1 + ½αΣλᵢyᵢ²)"),
        _decay_claim(rows, "igd_loss_decay", "Eq. 11: that of IGD by α‖∇L‖²(−1 − ½αΣλᵢyᵢ²)"),
        claim(
            "Adam, not shown there, fails as GD does",
            f"Adam converges at {len(adam)} of {len(rows)} values of α, in as few as {fastest} steps",
            not adam,
            asked=True,
        ),
    ]


def _stability_claims(rows: list[dict[str, Any]]) -> list[Claim]:
    """The learning rates at which GD is stable, D ≤ 1, and how slow it is there."""
    limit = "GD is stable up to about α = 1e-4 and no further"
    stable = {r["alpha"]: r["gd_decay"] for r in rows if r["gd_decay"] <= 1}
    unstable = [r["alpha"] for r in rows if r["gd_decay"] > 1]
    if not stable or not unstable:
        return [
            Claim(
                "GD is stable up to about α = 1e-4 and no further", "its limit was not found", "not measured"
            )
        ]
    last, first = max(stable), min(unstable)
    shown = f"D ≤ 1 up to α = {number(last)} of those tried, D > 1 from {number(first)} on"
    # What is left of θ₁ falls by the root of D per step.
    needed = 2 * math.log(1 / TOLERANCE) / (1 - stable[last])
    return [
        claim(
            "GD: D ≤ 1 implies α ≤ ½·1/max{K₁, K₂} = 5e-5",
            f"{shown}; Eq. 7 gives 2/max{{K₁, K₂}} = 2e-4",
            last <= 0.5 / max(K) * (1 + 1e-9),
        ),
        claim(limit, shown, 1e-4 / ABOUT <= last < first <= 1e-4 * ABOUT),
        claim(
            "GD needs at least O(1e8) iterations where it is stable",
            f"{number(needed)} to |θ| ≤ {TOLERANCE} at α = {number(last)}, from its decay per step",
            needed >= 1e8,
        ),
    ]


def _decay_claim(rows: list[dict[str, Any]], key: str, paper: str) -> Claim:
    """That the change of the loss in the first step is the formula's."""
    decays = [row[key] for row in rows if key in row]
    off = max((abs(1 - d["actual"] / d["predicted"]) for d in decays), default=0.0)
    grows = sum(d["actual"] > 0 for d in decays)
    shown = f"to {number(off)} relative at {len(decays)} values of α; the loss grows at {grows}"
    command = "python -m benchmarks run stiff_quadratic"
    return claim(paper, shown, off < 1e-5, measured=decays, command=command)


def _off_one(rows: list[dict[str, Any]]) -> float:
    """How far 1 − D of IGD is from Eq. 8's, relative."""
    return max(abs(1 - (1 - r["igd_decay"]) / (1 - r["igd_bound"])) for r in rows)

"""What is shown of Theorem 1: its claims beside what was measured, and the figure."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from benchmarks._claims import Claim, claim, number
from benchmarks._plots import figure


def theorem1_claims(result: dict[str, Any]) -> Iterator[Claim]:
    """Theorem 1 and its lemmas beside what was measured."""
    rows, smallest, required = result["rows"], result["lambda_min"], result["required_width"]
    covered = [
        run
        for row in rows
        if row["covered"]
        for run, width in zip(row["runs"], required, strict=True)
        if row["width"] >= width
    ]
    yield claim(
        "Eq. 18: L(n) ≤ (1 + αλ₀/2)⁻ⁿ L(0) where m and α meet the theorem's conditions (for C = 1)",
        f"kept at every step of {sum(map(holds, covered))} of {len(covered)} trainings",
        all(map(holds, covered)),
        measured=covered,
    )
    for alpha in sorted({row["alpha"] for row in rows}):
        series = [row for row in rows if row["alpha"] == alpha]
        kept = [row["width"] for row in series if all(map(holds, row["runs"]))]
        failed = [row["width"] for row in series if not all(map(holds, row["runs"]))]
        first = min((m for m in kept if m > max(failed, default=0)), default=None)
        counts = ", ".join(f"{row['width']}: {sum(map(holds, row['runs']))}" for row in series)
        yield claim(
            f"the same at α = {alpha:.2g}, whatever the width is",
            f"on all {len(smallest)} data sets from m = {first} on; kept by width: {counts}",
            not failed,
            asked=True,
        )
    widest = [row for row in rows if row["width"] == max(r["width"] for r in rows)]
    at_widest = [
        (run, value)
        for row in widest
        if row["covered"]
        for run, value in zip(row["runs"], smallest, strict=True)
    ]
    share = min(run["smallest"] / value for run, value in at_widest)
    defect = max(run["defect"] / value for run, value in at_widest)
    yield claim(
        "Lemma 4: λ_min(H(n)) ≥ λ₀/2",
        f"at least {number(share)} λ₀ at m = {widest[0]['width']:,} and the theorem's α",
        share >= 0.5,
    )
    yield claim(
        "Eq. 27, Lemma 5: the contraction is (I + αH)⁻¹ but for ‖I₀‖ ≤ αλ₀/8 ‖y − u‖",
        f"‖I₀‖ ≤ {number(defect)} αλ₀ ‖y − u‖ at m = {widest[0]['width']:,} and the theorem's α",
        defect <= 1 / 8,
    )
    by_width = [(row["width"], np.mean([r["distance"] for r in row["runs"]])) for row in rows]
    logarithms = np.log(np.array(by_width, float))
    slope = np.polyfit(logarithms[:, 0], logarithms[:, 1], 1)[0]
    error = result["monte_carlo_error"]
    how = f"by Monte Carlo, entries ± {number(error)}" if error else "in closed form"
    yield claim(
        "proof of Lemma 2: ‖H(0) − H^∞‖ falls like m^(−1/2)",
        f"like m^({slope:.2f}); H^∞ {how}",
        bool(abs(slope + 0.5) < 0.1),
    )
    if result.get("outer") != "uniform":  # the other reading of the output weights
        yield claim(
            "Eq. 18 with a_r uniform on the interval [−1, 1]",
            "",
            None,
            measured=False,
            command="python -m benchmarks run theorem1 --preset paper --outer uniform",
        )


def holds(run: dict[str, Any]) -> bool:
    """Whether a training kept Eq. 18's bound at every step, to rounding."""
    return run["worst"] <= 1 + 1e-9


def draw(result: dict[str, Any], path: Path) -> None:
    """L(n)/L(0) of the first data set for every width, a panel for each α, and where the bound is kept."""
    rows, smallest = result["rows"], result["lambda_min"]
    alphas = sorted({row["alpha"] for row in rows})
    size = (3.7 * (len(alphas) + 1), 3.8)
    with figure(path, columns=len(alphas) + 1, size=size) as (_, axes):
        colors = plt.get_cmap("viridis")
        widths = sorted({row["width"] for row in rows})
        for axis, alpha in zip(axes[0], alphas, strict=False):
            for row in rows:
                if row["alpha"] == alpha:
                    color = colors(widths.index(row["width"]) / len(widths))
                    axis.semilogy(
                        *zip(*row["runs"][0]["curve"], strict=True),
                        color=color,
                        label=f"m = {row['width']:,}",
                    )
            low, high = axis.get_ylim()
            n = np.arange(result["steps"] + 1)
            bound = (1 + alpha * smallest[0] / 2) ** -n.astype(float)
            axis.semilogy(n[bound > low], bound[bound > low], color="black", ls="--", label="Eq. 18")
            axis.set(title=f"α = {alpha:.2g}", xlabel="n", ylim=(low, high))
        axes[0, 0].set_ylabel("L(n)/L(0), first data set")
        axes[0, 0].legend(fontsize=7)
        for alpha in alphas:
            series = [
                (row["width"], max(r["worst"] for r in row["runs"])) for row in rows if row["alpha"] == alpha
            ]
            axes[0, -1].loglog(*zip(*series, strict=True), "o-", label=f"α = {alpha:.2g}")
        axes[0, -1].axhline(1, color="black", ls="--", lw=0.8)
        axes[0, -1].set(xlabel="width m", title="largest L(n)/bound, all data sets")
        axes[0, -1].legend(fontsize=8)

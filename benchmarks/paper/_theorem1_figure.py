"""The figure of Theorem 1: losses beside their bound, and where it is kept."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from benchmarks._plots import figure


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

"""The paper's problems as training experiments: the table of their networks, iterations and stops.

The paper gives totals (K0·K1 + K2)·batches in Table 1 and no split. The splits here: K1 = 100 and
K0·K1 = 2,000 of 102,000 (ODE, ε = 2), 60,000 of 360,000 (ε = 0.01), 100,000 of 1,100,000 (Poisson)
and 50,000 of 550,000 (Helmholtz), which leave round K2 of 100,000, 300,000, 1,000,000 and 500,000.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import pinns
from benchmarks._experiment import Experiment, Plan
from benchmarks._optimizers import Budget

Widths = tuple[int, ...]


class PaperExperiment(Experiment):
    """A problem of the paper and how it is trained; pairs are those of the presets quick and paper."""

    hidden: ClassVar[tuple[Widths, Widths]] = ((50,) * 4, (50,) * 4)
    """Widths of the hidden layers."""
    quick: ClassVar[Budget] = Budget(39_800, 20_000, decay=True)
    """Budget of the preset quick."""
    paper: ClassVar[Budget]
    """Budget of the preset paper."""
    plain: ClassVar[Budget | None] = None
    """That of the optimisers without implicit steps, where the paper gives them another."""
    small_batch: ClassVar[int | None] = None
    """Points in a batch of the preset paper where the learning rate is small."""
    draw: ClassVar[str] = "uniform"
    """How points are drawn."""
    targets: ClassVar[tuple[float, float]]
    """Relative errors at which Gauss–Newton stops."""
    seconds: ClassVar[tuple[float, float]]
    """Times after which it stops."""
    gauss_newton_plan: ClassVar[Mapping[str, Any]] = {}
    """What else the plan of Gauss–Newton has."""

    def paper_budgets(self) -> tuple[Budget, Budget]:
        """Those of the optimisers with and without implicit steps."""
        return self.paper, self.plain or self.paper

    def preset_plan(self) -> Plan:
        """The preset's plan."""
        if self.method.gauss_newton:
            return self._gauss_newton_plan()
        if self.preset == "quick":
            return Plan(self.hidden[0], self.quick, sampling=self.draw)
        implicit, plain = self.paper_budgets()
        budget = implicit if self.method.implicit else plain
        return Plan(self.hidden[1], budget, self._batch_size(), self.draw)

    def _batch_size(self) -> int | None:
        """Mini-batches for a small learning rate, all points for a large one (paper Section 4.1)."""
        if self.method.line_search:
            return None  # its curvature pairs need one and the same loss
        small = not self.method.implicit if self.alpha is None else self.alpha < 0.1
        return self.small_batch if small else None

    def _gauss_newton_plan(self) -> Plan:
        """Gauss–Newton steps until the target or the time is reached.

        One linearisation each where α follows, up to ten to solve the equation of a constant α.
        """
        paper = self.preset == "paper"
        budget = Budget(100_000, 100_000, inner_steps=1, alpha=1.0, safeguard=True)
        options: dict[str, Any] = {"sampling": self.draw, "evaluate_every": 10, **self.gauss_newton_plan}
        if not self.method.adapts:
            budget = Budget(2_000, 2_000, inner_steps=10, safeguard=True)
            options["evaluate_every"] = 1  # the clock is looked at when evaluating, and a step is long
        stops = {"target": self.targets[paper], "time_limit": self.seconds[paper]}
        return dataclasses.replace(Plan(self.hidden[paper], budget, **options), **stops)


class Ode(PaperExperiment):
    """Singularly perturbed ODE (Eq. 19, Section 4.1, Figure 2)."""

    epsilon: float = 2.0
    """ε, the width of the layer."""

    name = "ode"
    paper = Budget(102_000, 2_000)
    plain = Budget(120_000, 2_000)
    small_batch = 40
    targets = (1e-6, 1e-6)
    seconds = (120, 120)

    def paper_budgets(self) -> tuple[Budget, Budget]:
        if self.epsilon >= 0.1:
            return super().paper_budgets()
        return Budget(360_000, 60_000), Budget(400_000, 60_000)

    def problem(self) -> pinns.Problem:
        return pinns.SingularlyPerturbedODE(self.epsilon)


class Poisson1d(PaperExperiment):
    """1-D Poisson equation, smooth or multi-scale (Eq. 9, Section 2.2, Figure 1)."""

    solution: Literal["multiscale", "smooth"] = "multiscale"
    """u_H or u_L."""

    name = "poisson1d"
    hidden = ((64,) * 4, (200,) * 5)
    quick = Budget(20_000, 10_000, alpha=0.1, decay=True)
    # "ISGD with learning rate 0.1 for a maximum 10⁴ epochs, Adam with default settings for 10⁷".
    paper = Budget(1_000_000, 1_000_000, alpha=0.1)
    plain = Budget(10_000_000, 0)
    targets = (5e-6, 1e-4)
    seconds = (240, 900)
    gauss_newton_plan: ClassVar[Mapping[str, Any]] = {"sampling": "grid"}

    def problem(self) -> pinns.Problem:
        return pinns.Poisson1D(self.solution, num_points=400 if self.preset == "quick" else 1000)


_RATES: Any = dict.fromkeys(("learning_rate", "inner_learning_rate", "outer_learning_rate"), 5e-4)


class TwoDimensional(PaperExperiment):
    """A problem on a square, whose points can be chosen."""

    points: int | None = None
    """Points inside, instead of the preset's."""
    boundary_points: int | None = None
    """Points on the boundary, instead of the preset's."""

    hidden = ((50,) * 4, (100,) * 6)
    quick = Budget(10_000, 5_000, decay=True)
    targets = (1e-3, 1e-4)
    seconds = (240, 600)
    gauss_newton_plan: ClassVar[Mapping[str, Any]] = {
        "sampling": "sobol",
        "evaluate_every": 5,
        "resample_every": 10,
    }

    def numbers(self) -> dict[str, int]:
        """Points inside and on the boundary; Gauss–Newton takes fewer than the paper and draws them anew."""
        few = self.preset == "quick" or self.method.gauss_newton
        inside, boundary = (1000, 200) if few else (4000, 400)
        return {
            "num_points": self.points or inside,
            "num_boundary_points": self.boundary_points or boundary,
        }


class Poisson2d(TwoDimensional):
    """2-D Poisson equation with a multi-scale solution (Eq. 20, Section 4.2, Figure 3)."""

    name = "poisson2d"
    paper = Budget(1_100_000, 100_000, **_RATES)
    plain = Budget(2_000_000, 100_000, **_RATES)

    def problem(self) -> pinns.Problem:
        return pinns.Poisson2D(**self.numbers())


class Helmholtz(TwoDimensional):
    """Helmholtz equation (Eq. 21, Section 4.3, Figure 4)."""

    k: float = 4.0
    """The wave number."""

    name = "helmholtz"
    paper = Budget(550_000, 50_000, **_RATES)
    plain = Budget(1_000_000, 50_000, **_RATES)

    def problem(self) -> pinns.Problem:
        return pinns.Helmholtz2D(self.k, **self.numbers())


class Regression(PaperExperiment):
    """Approximation of a function (Eqs. 45 and 46, Appendix C.1, Figures 5 and 6)."""

    function: Literal["multiscale", "discontinuous"] = "multiscale"
    """Eq. 45 or Eq. 46."""

    name = "regression"
    # "up to 350 K" epochs; the paper gives neither the points nor a split.
    paper = Budget(350_000, 50_000)
    targets = (1e-5, 1e-5)
    seconds = (120, 120)

    def problem(self) -> pinns.Problem:
        return pinns.FunctionApproximation(self.function)


KINDS = (Ode, Poisson1d, Poisson2d, Helmholtz, Regression)

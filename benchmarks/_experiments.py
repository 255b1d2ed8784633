"""The training experiments: problem, network and presets of each.

The paper gives totals (K0·K1 + K2)·batches in Table 1 and no split. The splits here: K1 = 100 and
K0·K1 = 2,000 of 102,000 (ODE, ε = 2), 60,000 of 360,000 (ε = 0.01), 100,000 of 1,100,000 (Poisson)
and 50,000 of 550,000 (Helmholtz), which leave round K2 of 100,000, 300,000, 1,000,000 and 500,000.
"""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Literal

import jax.numpy as jnp
import tyro
from flax import nnx

import pinns
from benchmarks._optimizers import Budget

Preset = Literal["quick", "paper"]
_MOST_LBFGS_STEPS = 10_000  # "until convergence, so the number of iterations is ignored" (Section 2.4)


@dataclasses.dataclass(frozen=True)
class Plan:
    """How an experiment is run: network, learning and mini-batches."""

    hidden: tuple[int, ...]
    budget: Budget
    batch_size: int | None = None
    sampling: Any = "uniform"
    resample_every: int | None = None
    evaluate_every: int | None = None
    target: float | None = None
    time_limit: float | None = None

    def setting(self) -> dict[str, Any]:
        """What decides where a run goes; not when it stops."""
        return {k: v for k, v in dataclasses.asdict(self).items() if k not in ("target", "time_limit")}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    """What all training experiments let you choose."""

    optimizer: Literal[
        "sgd", "adam", "lbfgs", "isgd-sgd", "isgd-adam", "isgd-lbfgs", "isgd-gn", "isgd-gn-constant"
    ] = "isgd-adam"
    """isgd-gn finds α by itself; isgd-gn-constant solves the implicit equation at a constant one."""
    preset: Preset = "quick"
    """quick: minutes on 2 CPU cores. paper: Table 1's network, points and iterations; of isgd-gn, the
    network alone."""
    seed: int = 0
    """Of the network, the points and the mini-batches."""
    dtype: Literal["float32", "float64"] | None = None
    """By default float64 for Gauss–Newton, float32 for the others."""
    steps: int | None = None
    """Iterations as Table 1 counts them, (K0·K1 + K2)·batches, instead of the preset's."""
    alpha: float | None = None
    """Learning rate of SGD or Adam, or α of the implicit step (the first one for isgd-gn), instead of the
    preset's."""
    sampling: Literal["uniform", "sobol", "grid"] | None = None
    """How points are drawn, instead of the preset's way."""
    resample_every: int | None = None
    """Draw fresh points every so many steps."""
    batch_size: int | None = None
    """Points per step of every condition that has more."""
    inner_steps: int | None = None
    """K1 of Algorithm 1, most inner steps of an implicit step, instead of the preset's."""
    implicit_steps: int | None = None
    """K0·K1, the iterations within implicit steps, instead of the preset's share."""
    reset_inner: bool = True
    """Start the inner solver of isgd-adam anew at every implicit step, or carry its state on."""
    decay: bool | None = None
    """Let Adam's learning rates fall by a cosine, or not, instead of the preset's choice."""
    momentum: float | None = None
    """μ of isgd-gn, the shift of its centre; of use with fresh points."""
    target: float | None = None
    """Stop at this relative L2 error."""
    time_limit: float | None = None
    """Stop after so many seconds of training, without compilation."""
    out: Path | None = None
    """Folder of the results; by default one below runs/ that names the experiment and its options."""
    progress: bool = True
    """Show a progress bar."""
    checkpoint_seconds: float = 10.0
    """Least time between two checkpoints."""

    name = ""

    def problem(self) -> pinns.Problem:
        """The problem, in the preset's size."""
        raise TypeError("an experiment defines problem()")

    def preset_plan(self) -> Plan:
        """The preset's plan."""
        raise TypeError("an experiment defines preset_plan()")

    def plan(self) -> Plan:
        """The preset's plan with --steps and --alpha."""
        plan = self.preset_plan()
        budget = plan.budget
        if self.steps is not None:  # in the preset's split, that of isgd-adam also for isgd-lbfgs
            budget = budget.scaled(self.steps)
        elif self.optimizer.endswith("lbfgs"):
            within = budget.implicit_iterations if self.optimizer == "isgd-lbfgs" else 0
            most = within + _MOST_LBFGS_STEPS
            budget = dataclasses.replace(budget, iterations=min(budget.iterations, most))
        if self.inner_steps is not None:
            budget = dataclasses.replace(budget, inner_steps=self.inner_steps)
        if self.implicit_steps is not None:
            budget = dataclasses.replace(budget, implicit_iterations=self.implicit_steps)
        if self.decay is not None:
            budget = dataclasses.replace(budget, decay=self.decay)
        if not self.reset_inner:
            if budget.decay:
                raise ValueError(
                    "no-reset-inner carries the step count of the inner learning rate, which has decayed to "
                    "zero after the first implicit step; take --no-decay with it."
                )
            if self.optimizer != "isgd-adam":
                raise ValueError(f"no-reset-inner is an option of isgd-adam, not of {self.optimizer}.")
            budget = dataclasses.replace(budget, reset_inner=False)
        if self.alpha is not None:
            field = "alpha" if self.optimizer.startswith("isgd-") else "learning_rate"
            budget = dataclasses.replace(budget, **{field: self.alpha})
        if self.momentum is not None:
            if self.optimizer != "isgd-gn":
                raise ValueError(f"momentum is an option of isgd-gn, not of {self.optimizer}.")
            budget = dataclasses.replace(budget, momentum=self.momentum)
        names = ("sampling", "resample_every", "batch_size", "target", "time_limit")
        chosen = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return dataclasses.replace(plan, budget=budget, **chosen)

    @property
    def gauss_newton(self) -> bool:
        """Whether the inner solver is Gauss–Newton."""
        return self.optimizer in ("isgd-gn", "isgd-gn-constant")

    @property
    def precision(self) -> str:
        """The dtype, chosen or by default."""
        return self.dtype or ("float64" if self.gauss_newton else "float32")

    def model(self) -> nnx.Module:
        """The network, initialised from the seed."""
        dim = self.problem().domain.dim
        return pinns.MLP(
            dim, self.plan().hidden, 1, dtype=jnp.dtype(self.precision), rngs=nnx.Rngs(self.seed)
        )

    def options(self) -> dict[str, Any]:
        """What is chosen apart from where the results go."""
        chosen = dataclasses.asdict(self) | {"dtype": self.precision}
        apart = ("out", "progress", "checkpoint_seconds", "target", "time_limit")
        return {key: value for key, value in chosen.items() if key not in apart}

    def folder(self) -> Path:
        """Where the results go."""
        if self.out is not None:
            return self.out
        unchanged = type(self)(optimizer=self.optimizer)
        defaults = unchanged.options()
        changed = {
            key: value
            for key, value in self.options().items()
            if value != defaults[key] and key not in ("optimizer", "preset", "seed")
        }
        parts = [self.optimizer, self.preset, *(f"{key}={value}" for key, value in changed.items())]
        return Path("runs") / self.name / "-".join([*parts, f"seed={self.seed}"])

    def _batch_size(self, size: int) -> int | None:
        """Mini-batches for a small learning rate, all points for a large one (paper Section 4.1)."""
        if self.optimizer.endswith("lbfgs"):
            return None  # its curvature pairs need one and the same loss
        if self.alpha is not None:
            return size if self.alpha < 0.1 else None
        return None if self.optimizer.startswith("isgd-") else size


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ode(Experiment):
    """Singularly perturbed ODE (Eq. 19, Section 4.1, Figure 2)."""

    epsilon: float = 2.0
    """ε, the width of the layer."""

    name = "ode"

    def problem(self) -> pinns.Problem:
        return pinns.SingularlyPerturbedODE(self.epsilon)

    def preset_plan(self) -> Plan:
        if self.gauss_newton:
            return _gauss_newton(self, (50,) * 4, target=1e-6, time_limit=120)
        if self.preset == "quick":
            return Plan((50,) * 4, Budget(39_800, 20_000, decay=True))
        budget = Budget(102_000, 2_000) if self.epsilon >= 0.1 else Budget(360_000, 60_000)
        if not self.optimizer.startswith("isgd-"):
            budget = dataclasses.replace(budget, iterations=120_000 if self.epsilon >= 0.1 else 400_000)
        return Plan((50,) * 4, budget, self._batch_size(40))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Poisson1d(Experiment):
    """1-D Poisson equation, smooth or multi-scale (Eq. 9, Section 2.2, Figure 1)."""

    solution: Literal["multiscale", "smooth"] = "multiscale"
    """u_H or u_L."""

    name = "poisson1d"

    def problem(self) -> pinns.Problem:
        return pinns.Poisson1D(self.solution, num_points=400 if self.preset == "quick" else 1000)

    def preset_plan(self) -> Plan:
        if self.gauss_newton and self.preset == "quick":
            return _gauss_newton(self, (64,) * 4, sampling="grid", target=5e-6, time_limit=240)
        if self.gauss_newton:
            return _gauss_newton(self, (200,) * 5, sampling="grid", target=1e-4, time_limit=900)
        if self.preset == "quick":
            return Plan((64,) * 4, Budget(20_000, 10_000, alpha=0.1, decay=True))
        # "ISGD with learning rate 0.1 for a maximum 10⁴ epochs, Adam with default settings for 10⁷".
        if self.optimizer.startswith("isgd-"):
            return Plan((200,) * 5, Budget(1_000_000, 1_000_000, alpha=0.1))
        return Plan((200,) * 5, Budget(10_000_000, 0))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Poisson2d(Experiment):
    """2-D Poisson equation with a multi-scale solution (Eq. 20, Section 4.2, Figure 3)."""

    points: int | None = None
    """Points inside, instead of the preset's."""
    boundary_points: int | None = None
    """Points on the boundary, instead of the preset's."""

    name = "poisson2d"

    def problem(self) -> pinns.Problem:
        return pinns.Poisson2D(*_points_2d(self))

    def preset_plan(self) -> Plan:
        return _plan_2d(self, plain=2_000_000, implicit=1_100_000, within=100_000)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Helmholtz(Experiment):
    """Helmholtz equation (Eq. 21, Section 4.3, Figure 4)."""

    k: float = 4.0
    """The wave number."""
    points: int | None = None
    """Points inside, instead of the preset's."""
    boundary_points: int | None = None
    """Points on the boundary, instead of the preset's."""

    name = "helmholtz"

    def problem(self) -> pinns.Problem:
        num_points, num_boundary_points = _points_2d(self)
        return pinns.Helmholtz2D(self.k, num_points=num_points, num_boundary_points=num_boundary_points)

    def preset_plan(self) -> Plan:
        return _plan_2d(self, plain=1_000_000, implicit=550_000, within=50_000)


@dataclasses.dataclass(frozen=True, kw_only=True)
class HelmholtzPeriodic(Experiment):
    """Periodic Helmholtz equation on [-1, 1]², the field's comparison of second-order methods."""

    k: float = 1.0
    """The wave number."""

    name = "helmholtz_periodic"

    def problem(self) -> pinns.Problem:
        return pinns.PeriodicHelmholtz2D(self.k, num_points=2048)

    def model(self) -> nnx.Module:
        return pinns.PeriodicMLP(
            (2.0, 2.0), self.plan().hidden, 1, dtype=jnp.dtype(self.precision), rngs=nnx.Rngs(self.seed)
        )

    def preset_plan(self) -> Plan:
        if self.gauss_newton:
            return _gauss_newton(
                self, (30,) * 4, sampling="sobol", target=4e-9, time_limit=250, evaluate_every=4
            )
        if self.preset == "quick":
            return Plan((30,) * 4, Budget(10_000, 5_000, decay=True), sampling="sobol")
        return Plan((30,) * 4, Budget(550_000, 50_000), sampling="sobol")


def _gauss_newton(
    experiment: Experiment,
    hidden: tuple[int, ...],
    *,
    target: float,
    time_limit: float,
    sampling: str = "uniform",
    evaluate_every: int = 10,
) -> Plan:
    """Gauss–Newton steps until the target or the time is reached.

    One linearisation each where α follows, up to ten to solve the equation of a constant α.
    """
    budget = Budget(100_000, 100_000, inner_steps=1, alpha=1.0, safeguard=True)
    if experiment.optimizer == "isgd-gn-constant":
        budget = Budget(2_000, 2_000, inner_steps=10, safeguard=True)
        evaluate_every = 1  # the clock is looked at when evaluating, and a step is long
    return Plan(
        hidden,
        budget,
        sampling=sampling,
        evaluate_every=evaluate_every,
        target=target,
        time_limit=time_limit,
    )


def _points_2d(experiment: Poisson2d | Helmholtz) -> tuple[int, int]:
    """Points inside and on the boundary; Gauss–Newton takes fewer than the paper and draws them anew."""
    few = experiment.preset == "quick" or experiment.gauss_newton
    inside, boundary = (1000, 200) if few else (4000, 400)
    return experiment.points or inside, experiment.boundary_points or boundary


def _plan_2d(experiment: Poisson2d | Helmholtz, *, plain: int, implicit: int, within: int) -> Plan:
    if experiment.gauss_newton:
        quick = experiment.preset == "quick"
        plan = _gauss_newton(
            experiment,
            (50,) * 4 if quick else (100,) * 6,
            sampling="sobol",
            target=1e-3 if quick else 1e-4,
            time_limit=240 if quick else 600,
            evaluate_every=5,
        )
        return dataclasses.replace(plan, resample_every=10)
    if experiment.preset == "quick":
        return Plan((50,) * 4, Budget(10_000, 5_000, decay=True))
    total = implicit if experiment.optimizer.startswith("isgd-") else plain
    rate = 5e-4
    budget = Budget(total, within, learning_rate=rate, inner_learning_rate=rate, outer_learning_rate=rate)
    return Plan((100,) * 6, budget)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Regression(Experiment):
    """Approximation of a function (Eqs. 45 and 46, Appendix C.1, Figures 5 and 6)."""

    function: Literal["multiscale", "discontinuous"] = "multiscale"
    """Eq. 45 or Eq. 46."""

    name = "regression"

    def problem(self) -> pinns.Problem:
        return pinns.FunctionApproximation(self.function)

    def preset_plan(self) -> Plan:
        if self.gauss_newton:
            return _gauss_newton(self, (50,) * 4, target=1e-5, time_limit=120)
        if self.preset == "quick":
            return Plan((50,) * 4, Budget(39_800, 20_000, decay=True))
        # "up to 350 K" epochs; the paper gives neither the points nor a split.
        return Plan((50,) * 4, Budget(350_000, 50_000))


TrainingExperiment = (
    Annotated[Ode, tyro.conf.subcommand("ode")]
    | Annotated[Poisson1d, tyro.conf.subcommand("poisson1d")]
    | Annotated[Poisson2d, tyro.conf.subcommand("poisson2d")]
    | Annotated[Helmholtz, tyro.conf.subcommand("helmholtz")]
    | Annotated[HelmholtzPeriodic, tyro.conf.subcommand("helmholtz_periodic")]
    | Annotated[Regression, tyro.conf.subcommand("regression")]
)

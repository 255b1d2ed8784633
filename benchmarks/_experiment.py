"""What an experiment is: its options, the plan that they change, its network and where its results go."""

import abc
import dataclasses
from pathlib import Path
from typing import Any, Literal

import jax.numpy as jnp
from flax import nnx

import pinns
from benchmarks._optimizers import ISGD_ADAM, METHODS, Budget, Method, Name
from benchmarks._options import Options

Preset = Literal["quick", "paper"]
_MOST_LBFGS_STEPS = 10_000  # "until convergence, so the number of iterations is ignored" (Section 2.4)


@dataclasses.dataclass(frozen=True)
class Slabs:
    """Slabs of time, each trained until its loss on fresh points or its seconds are reached."""

    number: int
    fresh_loss: float
    seconds: float


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
    scaled: bool = False
    slabs: Slabs | None = None

    def setting(self) -> dict[str, Any]:
        """What decides where a run goes; not when it stops."""
        return {k: v for k, v in dataclasses.asdict(self).items() if k not in ("target", "time_limit")}


class Experiment(Options, abc.ABC):
    """What all training experiments let you choose."""

    optimizer: Name = ISGD_ADAM.name
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

    @abc.abstractmethod
    def problem(self) -> pinns.Problem:
        """The problem, in the preset's size."""

    @abc.abstractmethod
    def preset_plan(self) -> Plan:
        """The preset's plan."""

    def plan(self) -> Plan:
        """The preset's plan with what is chosen in its place."""
        plan, method = self.preset_plan(), self.method
        budget = plan.budget
        if self.steps is not None:  # in the preset's split, that of "ISGD, Adam" also for "ISGD, L-BFGS"
            budget = budget.scaled(self.steps)
        elif method.line_search:
            most = _MOST_LBFGS_STEPS + (budget.implicit_iterations if method.implicit else 0)
            budget = dataclasses.replace(budget, iterations=min(budget.iterations, most))
        if self.implicit_steps is not None:
            budget = dataclasses.replace(budget, implicit_iterations=self.implicit_steps)
        budget = dataclasses.replace(budget, **self._given("inner_steps", "decay", "momentum"))
        budget = dataclasses.replace(budget, reset_inner=self.reset_inner)
        if self.alpha is not None:
            budget = method.with_rate(budget, self.alpha)
        self._refuse(budget)
        chosen = self._given("sampling", "resample_every", "batch_size", "target", "time_limit")
        if plan.slabs and {"target", "time_limit"} & set(chosen):
            raise ValueError(f"{self.name} is trained in slabs, which end by their own limits: {plan.slabs}.")
        return dataclasses.replace(plan, budget=budget, **chosen)

    def _given(self, *names: str) -> dict[str, Any]:
        """Those of these options that are chosen."""
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    def _refuse(self, budget: Budget) -> None:
        """Raises an error for options that do not go with each other or with the optimiser."""
        if not self.reset_inner and budget.decay:
            raise ValueError(
                "no-reset-inner carries the step count of the inner learning rate, which has decayed to "
                "zero after the first implicit step; take --no-decay with it."
            )
        if not self.reset_inner and self.method is not ISGD_ADAM:
            raise ValueError(f"no-reset-inner is an option of {ISGD_ADAM.name}, not of {self.optimizer}.")
        if self.momentum is not None and not self.method.adapts:
            owner = next(method.name for method in METHODS.values() if method.adapts)
            raise ValueError(f"momentum is an option of {owner}, not of {self.optimizer}.")

    @property
    def method(self) -> Method:
        """The optimiser."""
        return METHODS[self.optimizer]

    @property
    def precision(self) -> str:
        """The dtype, chosen or by default."""
        return self.dtype or ("float64" if self.method.gauss_newton else "float32")

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

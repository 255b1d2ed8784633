"""The optimisers under comparison: one table, which everything else asks for their properties."""

import dataclasses
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import optax

from isgd_optax import gauss_newton, implicit_step, isgd_adam, isgd_lbfgs, largest_trusted, switch_after


@dataclasses.dataclass(frozen=True)
class Budget:
    """Learning rates and iteration counts, in the names of paper Algorithm 1 and Table 1.

    Args:
      iterations: K0·K1 + K2, times the number of batches: updates of a plain optimiser, inner and
        outer ones of an implicit one.
      implicit_iterations: K0·K1, the part of them inside implicit steps.
      inner_steps: K1.
      learning_rate: of plain SGD and Adam.
      alpha: α of the implicit steps; the first one for isgd-gn, which controls it.
      inner_learning_rate: γ.
      outer_learning_rate: η.
      decay: let γ fall to zero within each implicit step and η over the second phase, by a cosine;
        the paper keeps both constant.
      safeguard: see :func:`isgd_optax.implicit_step`; Algorithm 1 has none.
      reset_inner: see :func:`isgd_optax.implicit_step`; for isgd-adam.
      momentum: see :func:`isgd_optax.implicit_step`; for isgd-gn.
    """

    iterations: int
    implicit_iterations: int
    inner_steps: int = 100
    learning_rate: float = 1e-3
    alpha: float = 0.5
    inner_learning_rate: float = 1e-3
    outer_learning_rate: float = 1e-3
    decay: bool = False
    safeguard: bool = False
    reset_inner: bool = True
    momentum: float | None = None

    def scaled(self, iterations: int) -> "Budget":
        """The same with another number of iterations, split in the same proportion."""
        share = self.implicit_iterations / self.iterations
        return dataclasses.replace(self, iterations=iterations, implicit_iterations=round(share * iterations))

    @property
    def implicit_steps(self) -> int:
        """K0."""
        return math.ceil(self.implicit_iterations / self.inner_steps)

    @property
    def explicit_steps(self) -> int:
        """K2."""
        return max(0, self.iterations - self.implicit_steps * self.inner_steps)


@dataclasses.dataclass(frozen=True)
class Method:
    """An optimiser.

    Args:
      name: On the command line and in recorded rows.
      label: In figures and tables.
      color: Of its curves.
      make: Gives the transformation for a budget.
      implicit: Whether its steps are implicit ones, of learning rate α.
      gauss_newton: Whether Gauss–Newton solves their equation, rather than an optimiser of optax.
      adapts: Whether it finds α by itself.
      line_search: Whether a line search finds its steps, which needs float64 and the same points throughout.
      second_phase: The plain optimiser that follows the implicit steps, if one does.
    """

    name: str
    label: str
    color: str
    make: Callable[[Budget], optax.GradientTransformation]
    implicit: bool = False
    gauss_newton: bool = False
    adapts: bool = False
    line_search: bool = False
    second_phase: "Method | None" = None

    @property
    def has_rate(self) -> bool:
        """Whether it has a learning rate, given or first."""
        return self.implicit or not self.line_search

    @property
    def precise(self) -> bool:
        """Whether float32 would end it far from the minimum."""
        return self.gauss_newton or self.line_search

    def with_rate(self, budget: Budget, rate: Any) -> Budget:
        """The budget with another α of the implicit steps or learning rate of the plain ones."""
        return dataclasses.replace(budget, **{"alpha" if self.implicit else "learning_rate": rate})

    def rate(self, budget: Budget) -> float | None:
        """That learning rate; None where a line search takes its place."""
        return (budget.alpha if self.implicit else budget.learning_rate) if self.has_rate else None

    def phases(self, budget: Budget) -> tuple[int, int]:
        """The number of implicit steps, and of plain ones."""
        if not self.implicit:
            return 0, budget.iterations
        return budget.implicit_steps, budget.explicit_steps if self.second_phase else 0


def isgd_gauss_newton(
    alpha: float = 1.0,
    *,
    max_inner_steps: int = 1,
    safeguard: bool = True,
    momentum: float | None = None,
    max_corrections: int = 10,
) -> optax.GradientTransformationExtraArgs:
    """Gauss–Newton steps with the largest trusted α, ``alpha`` at first."""
    return implicit_step(
        gauss_newton(max_corrections=max_corrections),
        largest_trusted(alpha),
        max_inner_steps=max_inner_steps,
        safeguard=safeguard,
        momentum=momentum,
        store_grad=True,
    )


def _rates(b: Budget) -> tuple[optax.ScalarOrSchedule, optax.ScalarOrSchedule]:
    """γ and η, falling by a cosine where the budget says so."""
    if not b.decay:
        return b.inner_learning_rate, b.outer_learning_rate
    return (
        optax.cosine_decay_schedule(b.inner_learning_rate, b.inner_steps),
        optax.cosine_decay_schedule(b.outer_learning_rate, max(1, b.explicit_steps)),
    )


def _isgd_sgd(b: Budget) -> optax.GradientTransformation:
    inner_rate, outer_rate = _rates(b)
    implicit = implicit_step(
        optax.sgd(inner_rate), b.alpha, max_inner_steps=b.inner_steps, rtol=0.0, safeguard=b.safeguard
    )
    return switch_after(b.implicit_steps, implicit, optax.sgd(outer_rate))


def _isgd_adam(b: Budget) -> optax.GradientTransformation:
    inner_rate, outer_rate = _rates(b)
    return isgd_adam(
        b.alpha,
        num_implicit_steps=b.implicit_steps,
        num_inner_steps=b.inner_steps,
        inner_learning_rate=inner_rate,
        outer_learning_rate=outer_rate,
        safeguard=b.safeguard,
        reset_inner=b.reset_inner,
    )


SGD = Method("sgd", "SGD", "tab:gray", lambda b: optax.sgd(b.learning_rate))
ADAM = Method("adam", "Adam", "tab:orange", lambda b: optax.adam(b.learning_rate))
LBFGS = Method("lbfgs", "L-BFGS", "tab:green", lambda b: optax.lbfgs(), line_search=True)
ISGD_SGD = Method("isgd-sgd", "ISGD, SGD", "tab:olive", _isgd_sgd, implicit=True, second_phase=SGD)
ISGD_ADAM = Method("isgd-adam", "ISGD, Adam", "tab:red", _isgd_adam, implicit=True, second_phase=ADAM)
ISGD_LBFGS = dataclasses.replace(
    LBFGS,
    name="isgd-lbfgs",
    label="ISGD, L-BFGS",
    color="tab:purple",
    make=lambda b: isgd_lbfgs(
        b.alpha, num_implicit_steps=b.implicit_steps, num_inner_steps=b.inner_steps, safeguard=b.safeguard
    ),
    implicit=True,
    second_phase=LBFGS,
)
GAUSS_NEWTON = Method(
    "isgd-gn",
    "ISGD, Gauss–Newton",
    "tab:blue",
    lambda b: isgd_gauss_newton(
        b.alpha, max_inner_steps=b.inner_steps, safeguard=b.safeguard, momentum=b.momentum
    ),
    implicit=True,
    gauss_newton=True,
    adapts=True,
)
SOLVED = dataclasses.replace(
    GAUSS_NEWTON,
    name="isgd-gn-constant",
    label="ISGD, Gauss–Newton, α constant",
    color="tab:cyan",
    make=lambda b: implicit_step(gauss_newton(), b.alpha, max_inner_steps=b.inner_steps, store_grad=True),
    adapts=False,
)
_ALL = (SGD, ADAM, LBFGS, ISGD_SGD, ISGD_ADAM, ISGD_LBFGS, GAUSS_NEWTON, SOLVED)
# In the order of the paper's figures and of the sweep.
COMPARED = (SGD, ADAM, LBFGS, ISGD_ADAM, ISGD_LBFGS, SOLVED, GAUSS_NEWTON)
METHODS = {method.name: method for method in _ALL}
BY_LABEL = {method.label: method for method in _ALL}
if TYPE_CHECKING:
    Name = str
else:  # what the command line lets one choose is what the table has
    Name = Literal[tuple(METHODS)]


def evaluation_steps(name: str, budget: Budget) -> list[int]:
    """When to measure: about 50 times in the implicit phase, whose steps are dear, and 100 times after it."""
    k0, k2 = METHODS[name].phases(budget)
    implicit = range(0, k0 + 1, math.ceil(max(1, k0) / 50))
    return [*implicit, *range(k0, k0 + k2 + 1, math.ceil(max(1, k2) / 100))]


def make_optimizer(name: str, budget: Budget) -> tuple[optax.GradientTransformationExtraArgs, int]:
    """The optimiser called ``name`` and the number of updates that its budget allows."""
    method = METHODS[name]
    return optax.with_extra_args_support(method.make(budget)), sum(method.phases(budget))

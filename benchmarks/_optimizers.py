"""The optimisers under comparison, by the names of the command line."""

import dataclasses
import math

import optax

from isgd_optax import gauss_newton, implicit_step, isgd_adam, isgd_lbfgs, largest_trusted, switch_after

NAMES = ("sgd", "adam", "lbfgs", "isgd-sgd", "isgd-adam", "isgd-lbfgs", "isgd-gn", "isgd-gn-constant")


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


def evaluation_steps(name: str, budget: Budget) -> list[int]:
    """When to measure: about 50 times in the implicit phase, whose steps are dear, and 100 times after it."""
    k0, k2 = (
        (budget.implicit_steps, budget.explicit_steps) if name.startswith("isgd-") else (0, budget.iterations)
    )
    implicit = range(0, k0 + 1, math.ceil(max(1, k0) / 50))
    return [*implicit, *range(k0, k0 + k2 + 1, math.ceil(max(1, k2) / 100))]


def isgd_gauss_newton(
    alpha: float = 1.0, *, max_inner_steps: int = 1, safeguard: bool = True, momentum: float | None = None
) -> optax.GradientTransformationExtraArgs:
    """Gauss–Newton steps with the largest trusted α, ``alpha`` at first."""
    return implicit_step(
        gauss_newton(),
        largest_trusted(alpha),
        max_inner_steps=max_inner_steps,
        safeguard=safeguard,
        momentum=momentum,
        store_grad=True,
    )


def make_optimizer(name: str, budget: Budget) -> tuple[optax.GradientTransformationExtraArgs, int]:
    """The optimiser called ``name`` and the number of updates that its budget allows."""
    b = budget
    if not name.startswith("isgd-"):
        plain = {
            "sgd": lambda: optax.sgd(b.learning_rate),
            "adam": lambda: optax.adam(b.learning_rate),
            "lbfgs": lambda: optax.lbfgs(),
        }
        return optax.with_extra_args_support(plain[name]()), b.iterations
    k0, k1, k2 = b.implicit_steps, b.inner_steps, b.explicit_steps
    if name == "isgd-gn":
        return isgd_gauss_newton(b.alpha, max_inner_steps=k1, safeguard=b.safeguard, momentum=b.momentum), k0
    if name == "isgd-gn-constant":
        return implicit_step(gauss_newton(), b.alpha, max_inner_steps=k1, store_grad=True), k0
    inner_rate, outer_rate = b.inner_learning_rate, b.outer_learning_rate
    if b.decay:
        inner_rate = optax.cosine_decay_schedule(inner_rate, k1)
        outer_rate = optax.cosine_decay_schedule(outer_rate, max(1, k2))
    if name == "isgd-sgd":
        implicit = implicit_step(
            optax.sgd(inner_rate), b.alpha, max_inner_steps=k1, rtol=0.0, safeguard=b.safeguard
        )
        optimizer = switch_after(k0, implicit, optax.sgd(outer_rate))
    elif name == "isgd-adam":
        optimizer = isgd_adam(
            b.alpha,
            num_implicit_steps=k0,
            num_inner_steps=k1,
            inner_learning_rate=inner_rate,
            outer_learning_rate=outer_rate,
            safeguard=b.safeguard,
            reset_inner=b.reset_inner,
        )
    else:
        optimizer = isgd_lbfgs(b.alpha, num_implicit_steps=k0, num_inner_steps=k1, safeguard=b.safeguard)
    return optimizer, k0 + k2

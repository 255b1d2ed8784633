"""Weights of conditions that follow the training."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from pinns._numbers import check_positive
from pinns._points import Loss
from pinns.problems import Points, Problem
from pinns.problems._base import conditions_of

Weights = dict[str, jax.Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdaptiveWeights:
    r"""Weights of conditions that follow the training.

    .. math::
      \omega_c \leftarrow (1 - \eta)\,\omega_c + \eta\, \omega_c^0 \frac{\max_k g_k}{g_c}
      \quad\text{(rescaled so that the largest weight of the conditions that count stays)}

    with g_c the norm of the gradient of condition c's unweighted loss, or the square root of that loss, with
    residuals in units of their sizes where :func:`pinns.scaled` has measured these. A condition of which that
    is zero, or not finite, keeps its weight and does not count for the others.

    Args:
      balance: ``"gradients"`` makes weighted gradients equally long, where all declared weights are equal;
        ``"losses"`` lets a weight fall with the root of its condition's loss.
      every: Steps between two changes.
      rate: The rate η of the change, between 0 and 1. It acts before the rescaling, as in the reference, so
        that a ratio far above 1/η is reached nearly at once.
      largest: Largest ratio of a weight to that which the condition declares.

    Raises:
      ValueError: A number out of range, or another ``balance``.

    Examples:
      >>> from pinns import AdaptiveWeights
      >>> AdaptiveWeights(every=50).rate
      0.1

    References:
      Wang, Teng and Perdikaris, Understanding and mitigating gradient flow pathologies in physics-informed
      neural networks, 2021.
    """

    balance: str = "gradients"
    every: int = 100
    rate: float = 0.1
    largest: float = 1e4

    def __post_init__(self) -> None:
        check_positive(every=self.every)
        if not 1 <= self.largest < float("inf"):
            raise ValueError(f"largest must be at least 1 and finite, got {self.largest}.")
        if self.balance not in ("gradients", "losses") or not 0 < self.rate <= 1:
            raise ValueError(
                "balance must be 'gradients' or 'losses' and 0 < rate ≤ 1, got "
                f"{self.balance!r} and {self.rate}."
            )


def check_weights(problem: Problem, points: Points) -> None:
    """Raises ValueError for weights of points that are none; on other points later ones may be, too."""
    for name, condition in conditions_of(problem).items():
        weights = condition.weights(points[name]) if callable(condition.weight) else None
        if weights is None or not getattr(weights, "is_fully_addressable", True):
            continue
        values = np.asarray(weights)
        bad = ~(np.isfinite(values) & (values >= 0))
        if bad.any():
            raise ValueError(
                f"the weight of condition {name!r} must be finite and at least 0 everywhere, and is "
                f"{values[bad][0]} at {bad.sum()} of its {bad.size} points."
            )


class WeightRule:
    """How the weights of the conditions change; without ``adaptive`` they stay as they are declared.

    Args:
      problem: The problem, with the declared weights.
      adaptive: How they change, or None.
      loss: ``loss(points, weights)``, a function of the trained parameters.
    """

    def __init__(self, problem: Problem, adaptive: AdaptiveWeights | None, loss: Loss):
        self._adaptive, self._loss = adaptive, loss
        self._declared: dict[str, float] = {}
        self._sizes: dict[str, float] = {}
        if adaptive is not None:
            conditions = problem.conditions()
            declared = {name: condition.scaled_weight for name, condition in conditions.items()}
            if any(callable(weight) for weight in declared.values()):
                raise ValueError(
                    "weights that adapt are one number by condition: a condition has a function for weight."
                )
            self._declared = {name: float(weight) for name, weight in declared.items()}  # pyright: ignore
            self._sizes = {name: condition.size for name, condition in conditions.items()}

    @property
    def constant(self) -> bool:
        """Whether the weights stay as they are declared."""
        return self._adaptive is None

    def first(self, dtype: jnp.dtype) -> Weights:
        """The weights before the first step; empty where they stay."""
        return {name: jnp.asarray(weight, dtype) for name, weight in self._declared.items()}

    def at(self, step: jax.Array, params: Any, points: Points, weights: Weights) -> Weights:
        """The weights from ``step`` on, given those before it."""
        if self._adaptive is None:
            return weights
        changed = lambda: self._changed(params, points, weights)
        return jax.lax.cond((step > 0) & (step % self._adaptive.every == 0), changed, lambda: weights)

    def _changed(self, params: Any, points: Points, weights: Weights) -> Weights:
        adaptive = self._adaptive
        assert adaptive is not None
        blocks = self._loss(points, weights).blocks
        sizes = {}
        for block, unit in zip(blocks, self._sizes.values(), strict=True):
            if adaptive.balance == "gradients":
                sizes[block.name] = optax.tree.norm(jax.grad(block)(params)) / unit**2
            else:
                sizes[block.name] = jnp.sqrt(block(params)) / unit
        counts = {name: jnp.isfinite(size) & (size > 0) for name, size in sizes.items()}
        of_all = lambda values: jnp.max(jnp.stack([jnp.where(counts[n], v, 0) for n, v in values.items()]))
        largest = of_all(sizes)
        raw = {}
        for name, size in sizes.items():
            smallest = jnp.maximum(largest / adaptive.largest, jnp.finfo(largest.dtype).tiny)
            ratio = jnp.clip(largest / jnp.maximum(size, smallest), 1.0, adaptive.largest)
            target = self._declared[name] * ratio.astype(weights[name].dtype)
            raw[name] = (1 - adaptive.rate) * weights[name] + adaptive.rate * target
        scale = of_all(self._declared) / jnp.maximum(of_all(raw), jnp.finfo(largest.dtype).tiny)
        # Without a gradient anywhere there is nothing to follow.
        scaled = {name: (weight * scale).astype(weights[name].dtype) for name, weight in raw.items()}
        return {name: jnp.where(counts[name], weight, weights[name]) for name, weight in scaled.items()}

"""Points of the next training step: kept, drawn anew plainly or by the residual, split into batches."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from isgd_optax import LeastSquares
from pinns._placement import ONE_DEVICE, Placement
from pinns._samplers import at_least, is_fixed
from pinns._sampling import AdaptiveSampling, Sampling
from pinns.problems import Points, Problem
from pinns.problems._base import conditions_of

# nnx.Rngs(seed) draws from fold_in(key(seed), 0), fold_in(key(seed), 1), ..., and split(key(seed))[0] is the
# first of them: points drawn from key(seed) itself are a monotone map of the first layer's weights.
_DATA = 2_000_003
# Streams of random numbers of a training.
_POINTS, _FRESH = 0, 1
Order = dict[str, jax.Array]
Loss = Callable[..., LeastSquares]


def data_key(key: jax.Array) -> jax.Array:
    """The key of points and mini-batches: never one from which ``nnx.Rngs`` of the same seed draws.

    Args:
      key: A JAX random key, as :func:`pinns.fit` takes it.

    Examples:
      >>> import jax
      >>> from flax import nnx
      >>> from pinns import data_key
      >>> bool((data_key(jax.random.key(0)) == nnx.Rngs(0).params()).all())
      False
    """
    return jax.random.fold_in(key, _DATA)


def fresh_key(key: jax.Array, step: jax.Array) -> jax.Array:
    """The key of points that are never trained on."""
    return jax.random.fold_in(jax.random.fold_in(key, _FRESH), step)


class PointSource:
    """Where the points of every step come from.

    Args:
      problem: The problem.
      sampling: How they are drawn.
      loss: ``loss(points)``, a function of the trained parameters.
      params: The trained parameters, arrays or their shapes.
      key: Random key of the training.
      dtype: The dtype of points.
      placement: The devices over which they are spread.

    Attributes:
      fixed: Whether the sampler gives the same points for every key.
    """

    def __init__(
        self,
        problem: Problem,
        sampling: Sampling,
        loss: Loss,
        params: Any,
        key: jax.Array,
        dtype: jnp.dtype,
        placement: Placement = ONE_DEVICE,
    ):
        self.sampling, self.dtype, self.placement = sampling, dtype, placement
        self._problem, self._loss, self._key = problem, loss, jax.random.fold_in(key, _POINTS)
        self.numbers = sampling.numbers(problem)
        self.num_parameters = sum(leaf.size for leaf in jax.tree.leaves(params))
        self.num_residuals = self._count(params)
        if sampling.num_points == "auto":
            factor = self._factor(params)
            self.numbers = self._times(factor, sampling.method)
            self.num_residuals = self._count(params)
        self.fixed = is_fixed(sampling.method, max(self.numbers.values()), problem.domain.dim)
        if self.fixed and sampling.resample_every:
            raise ValueError(
                f"method={sampling.method!r} gives the same points every time, so that resample_every="
                f"{sampling.resample_every} changes nothing: leave it out, or take 'sobol'."
            )
        # A region of few points gives those, whatever number is asked for.
        drawn = {name: _number(points) for name, points in jax.eval_shape(self.draw, key).items()}
        self._batch_sizes = sampling.batch_sizes(drawn)
        self._adaptive = sampling.chosen(problem) if isinstance(sampling, AdaptiveSampling) else ()

    @property
    def constant(self) -> bool:
        """Whether every step sees the same points."""
        return not self._batch_sizes and self.sampling.interval is None

    def first_order(self, points: Points) -> Order:
        """The order of the points of conditions that are split, before the first step."""
        return {name: jnp.arange(_number(points[name])) for name in self._batch_sizes}

    def at(self, step: jax.Array, params: Any, points: Points) -> Points:
        """The points from ``step`` on, given those before it."""
        every = self.sampling.interval
        if every is None:
            return points
        key = jax.random.fold_in(self._key, step)
        draw = lambda: self._adapted(key, params, points) if self._adaptive else self.draw(key)
        return self.placement.points(jax.lax.cond((step > 0) & (step % every == 0), draw, lambda: points))

    def draw(self, key: jax.Array, *, method: Any = None, multiple: int = 1) -> Points:
        """Points of every condition, or ``multiple`` times as many."""
        method = method or self.sampling.method
        numbers = self._times(multiple, method)
        points = self._problem.sample(key, method=method, dtype=self.dtype, num_points=numbers)
        return self.placement.points(points)

    def _times(self, factor: int, method: Any) -> dict[str, int]:
        """The numbers of points times ``factor``, of a grid a few more."""
        if factor == 1:
            return self.numbers
        regions = {name: condition.region for name, condition in conditions_of(self._problem).items()}
        return {name: at_least(factor * n, regions[name], method) for name, n in self.numbers.items()}

    def _factor(self, params: Any) -> int:
        """By what numbers of points are multiplied for twice as many residuals as parameters."""
        wanted = 2 * self.num_parameters
        if self.num_residuals >= wanted:
            return 1
        drawn = self._count(params, multiple=2) - self.num_residuals
        given = self.num_residuals - drawn  # data and ends of intervals, of which there are no more
        if drawn == 0 and given < wanted:
            raise ValueError(
                f"num_points='auto' asks for {wanted} residuals, twice the parameters, but all points are "
                f"given, and they make {given}: take a smaller network, or num_points=None."
            )
        factor = max(1, -(-(wanted - given) // max(drawn, 1)))
        while self._count(params, multiple=factor) < wanted:  # a grid's numbers do not grow evenly
            factor += 1
        return factor

    def _count(self, params: Any, *, multiple: int = 1) -> int:
        """The number of residuals of all conditions together, at ``multiple`` times as many points."""

        def residuals(params: Any) -> list[jax.Array]:
            points = self.draw(self._key, multiple=multiple)
            return [block.residuals(params) for block in self._loss(points).blocks]

        return sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(residuals, params)))

    def _adapted(self, key: jax.Array, params: Any, points: Points) -> Points:
        sampling = self.sampling
        assert isinstance(sampling, AdaptiveSampling)
        plain_key, pool_key, choice_key = jax.random.split(key, 3)
        drawn = dict(self.draw(plain_key))
        pool = self.draw(pool_key, multiple=sampling.pool)
        blocks = {block.name: block for block in self._loss(pool).blocks}
        for i, name in enumerate(sorted(self._adaptive)):
            number, candidates = _number(points[name]), _number(pool[name])
            if candidates <= number:
                continue  # fixed points, the ends of an interval: there is nothing to choose
            residuals = blocks[name].residuals(params).reshape(candidates, -1)
            size = jnp.linalg.norm(residuals.astype(jnp.float32), axis=1)
            p = _probabilities(size, sampling.exponent, sampling.floor)
            chosen = jax.random.choice(
                jax.random.fold_in(choice_key, i), candidates, (number,), replace=False, p=p
            )
            drawn[name] = jax.tree.map(lambda x, chosen=chosen: x[chosen], pool[name])
        return drawn

    def batch(self, step: jax.Array, points: Points, order: Order) -> tuple[Points, Order]:
        """The mini-batch of ``step``, and the order in which the points of this epoch are seen."""
        orders, chosen = {}, dict(points)
        for i, (name, size) in enumerate(sorted(self._batch_sizes.items())):
            number = _number(points[name])
            position = step % (number // size)
            shuffle_key = jax.random.fold_in(jax.random.fold_in(self._key, step), i + 1)
            orders[name] = jax.lax.cond(
                position == 0,
                lambda k=shuffle_key, n=number: jax.random.permutation(k, n),
                lambda name=name: order[name],
            )
            index = jax.lax.dynamic_slice_in_dim(orders[name], position * size, size)
            chosen[name] = jax.tree.map(lambda x, index=index: x[index], points[name])
        return self.placement.points(chosen) if orders else chosen, orders


def _number(points: Any) -> int:
    return jax.tree.leaves(points)[0].shape[0]


def _probabilities(size: jax.Array, exponent: float, floor: float) -> jax.Array:
    """Of every candidate; where the residuals are no numbers, or all zero, of equal size."""
    largest = jnp.max(size)
    usable = jnp.isfinite(largest) & (largest > 0)
    # Relative sizes first: a power of what is near the smallest number would vanish.
    relative = jnp.where(usable, size / jnp.where(usable, largest, 1), 1.0) ** exponent
    weights = relative / jnp.mean(relative) + floor
    return weights / jnp.sum(weights)

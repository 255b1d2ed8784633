"""Points of the unit cube, from which every region makes its own."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from scipy.stats import qmc

Sampler = Callable[[jax.Array, int, int, DTypeLike], jax.Array]


@dataclasses.dataclass(frozen=True)
class Uniform:
    """Independent points, each uniform in the cube."""

    fixed: ClassVar[bool] = False

    def __call__(self, key: jax.Array, num_points: int, dim: int, dtype: DTypeLike) -> jax.Array:
        """The points, shape (num_points, dim)."""
        return jax.random.uniform(key, (num_points, dim), dtype)


@dataclasses.dataclass(frozen=True)
class Sobol:
    """A Sobol sequence, shifted by a random vector modulo 1: fresh points cost no work on the host."""

    fixed: ClassVar[bool] = False

    def __call__(self, key: jax.Array, num_points: int, dim: int, dtype: DTypeLike) -> jax.Array:
        """The points, shape (num_points, dim)."""
        shift = jax.random.uniform(key, (1, dim), dtype)
        return jnp.mod(jnp.asarray(sobol_sequence(num_points, dim), dtype) + shift, 1)


@dataclasses.dataclass(frozen=True)
class Grid:
    """The centres of equal cells, the same for every key."""

    fixed: ClassVar[bool] = True

    def __call__(self, key: jax.Array, num_points: int, dim: int, dtype: DTypeLike) -> jax.Array:
        """The points, shape (num_points, dim)."""
        del key
        side = round(num_points ** (1 / dim))
        if side**dim != num_points:
            raise ValueError(
                f"a grid in {dim} dimensions needs n^{dim} points, e.g. {side**dim}, got {num_points}."
            )
        axis = (jnp.arange(side, dtype=dtype) + 0.5) / side
        return jnp.stack(jnp.meshgrid(*[axis] * dim, indexing="ij"), axis=-1).reshape(-1, dim)


def uniform() -> Sampler:
    """Independent points, each uniform in the cube: the sampler called ``"uniform"``."""
    return Uniform()


def sobol() -> Sampler:
    """A Sobol sequence, shifted at random modulo 1: the sampler called ``"sobol"``.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> from pinns import Box, samplers
      >>> Box((0.0,), (2.0,)).sample(jax.random.key(0), 8, samplers.sobol(), jnp.float32).shape
      (8, 1)

    References:
      Cranley and Patterson, Randomization of number theoretic methods for multiple integration, 1976.
    """
    return Sobol()


def grid() -> Sampler:
    """The centres of equal cells: the sampler called ``"grid"``. It needs a d-th power of points."""
    return Grid()


SAMPLERS: dict[str, Sampler] = {"uniform": Uniform(), "sobol": Sobol(), "grid": Grid()}


def as_sampler(method: str | Sampler) -> Sampler:
    """The sampler of this name, or ``method`` itself if it is one.

    Raises:
      ValueError: An unknown name.
      TypeError: Neither a name nor a function.
    """
    if isinstance(method, str):
        if method not in SAMPLERS:
            raise ValueError(
                f"method must be one of {tuple(SAMPLERS)} or a function (key, num_points, dim, dtype) -> "
                f"points of the unit cube, got {method!r}."
            )
        return SAMPLERS[method]
    if not callable(method):
        raise TypeError(f"method must be a name or a function, got {method!r}.")
    return method


def is_fixed(method: str | Sampler, num_points: int, dim: int) -> bool:
    """Whether a sampler gives the same ``num_points`` points for every key, as a grid does."""
    sampler = as_sampler(method)
    if (fixed := getattr(sampler, "fixed", None)) is not None:
        return bool(fixed)
    first, second = (sampler(jax.random.key(seed), num_points, dim, jnp.float32) for seed in (0, 1))
    return bool(jnp.array_equal(first, second))


def asked_for(region: Any, num_points: int) -> list[tuple[int, int]]:
    """How many points and coordinates of the unit cube a region asks for to draw ``num_points`` of itself.

    One pair for each time that it asks; none of a region that draws its points otherwise.
    """
    asked = []

    def record(key: jax.Array, num_points: int, dim: int, dtype: DTypeLike) -> jax.Array:
        asked.append((num_points, dim))
        return jax.random.uniform(key, (num_points, dim), dtype)

    jax.eval_shape(lambda: region.sample(jax.random.key(0), num_points, record, jnp.float32))
    return asked


def at_least(num_points: int, region: Any, method: str | Sampler) -> int:
    """The least number ≥ ``num_points`` that a region can draw: for a grid in d coordinates a d-th power."""
    if not isinstance(as_sampler(method), Grid):
        return num_points
    dim = math.lcm(*(dim for _, dim in asked_for(region, num_points)))  # 1 where it does not ask
    return math.ceil(round(num_points ** (1 / dim), 9)) ** dim


def unit_points(
    key: jax.Array, num_points: int, dim: int, method: str | Sampler, dtype: DTypeLike
) -> jax.Array:
    """Points of the unit cube [0, 1)ᵈ.

    Args:
      key: A JAX random key; unused by ``"grid"``.
      num_points: The number N of points; a d-th power for ``"grid"``.
      dim: The number d of coordinates.
      method: A name: ``"uniform"`` draws independent points, ``"sobol"`` shifts a Sobol sequence by a
        random vector, modulo 1, and ``"grid"`` takes the centres of equal cells. Or a function
        ``(key, num_points, dim, dtype) -> points`` of your own; it is traced with the training, in which
        points that NumPy or SciPy draw would be constants: call them by ``jax.pure_callback``.
      dtype: The type of the points.

    Returns:
      The points, shape (N, d).

    Raises:
      ValueError: An unknown method, N < 1, N no d-th power for a grid, or a function that returns
        another shape.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> from pinns import unit_points
      >>> print(unit_points(jax.random.key(0), 4, 1, "grid", jnp.float32)[:, 0])
      [0.125 0.375 0.625 0.875]
    """
    if num_points < 1:
        raise ValueError(f"num_points must be at least 1, got {num_points}.")
    points = as_sampler(method)(key, num_points, dim, dtype)
    if points.shape != (num_points, dim):
        raise ValueError(
            f"{method!r} must return points of shape {(num_points, dim)}, it returned {points.shape}."
        )
    return points.astype(dtype)


@functools.cache
def sobol_sequence(num_points: int, dim: int) -> np.ndarray:
    """The first points of the Sobol sequence (a full power of two is drawn: a balanced set)."""
    points = qmc.Sobol(dim, scramble=False).random_base2(max(1, math.ceil(math.log2(num_points))))
    return points[:num_points]

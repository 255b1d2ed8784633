"""Points of a part of a region: those that pass a test, in arrays of fixed shape."""

import functools
import math
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from pinns._identity import of_user
from pinns._regions._region import Region, evenly
from pinns._samplers import SAMPLERS, Grid, Sampler, as_sampler, asked_for
from pinns._traces import trace_digest

_PROBES, _MORE_PROBES = 2**13, 2**17
_SMALL = 1e-2
_ROUNDS = 1000


class Part(Protocol):
    """A hashable object that tells which points of a region belong to it."""

    def accepts(self, x: jax.Array) -> jax.Array:
        """Whether one point of the region, shape (d,), belongs to the part; can be traced."""
        ...


def measured_share(region: Region, part: Part) -> float:
    """The fraction of a region's points that belong to a part, up to about 1e-3."""
    return _share(region, part, _PROBES)


def precise_share(region: Region, part: Part) -> float:
    """The same fraction, measured with more points where it is small: up to about a hundredth of itself."""
    share = measured_share(region, part)
    if not 0 < share < _SMALL:
        return share
    return _share(region, part, _MORE_PROBES)


def _share(region: Region, part: Part, probes: int) -> float:
    dtype = jax.dtypes.canonicalize_dtype(jnp.float64)
    return _measured_share(region, part, probes, dtype, _program(region, part))


@functools.lru_cache(maxsize=256)
def _measured_share(region: Region, part: Part, probes: int, dtype: DTypeLike, program: str) -> float:
    del program  # part of what it is kept by

    @jax.jit
    def share() -> jax.Array:
        points = region.sample(jax.random.key(0), probes, "sobol", dtype)
        return jnp.mean(jax.vmap(part.accepts)(points), dtype=jnp.float32)

    with jax.ensure_compile_time_eval():
        return float(share())


def sample_part(
    region: Region,
    part: Part,
    share: float,
    parameters: int,
    key: jax.Array,
    num_points: int,
    method: str | Sampler,
    dtype: DTypeLike,
) -> jax.Array:
    """Points of a region that belong to a part of it.

    As many candidates are drawn as are expected to suffice, and the first that belong are taken; where they
    do not suffice, more are drawn, independent ones. Candidates that may have an order, those of a sampler of
    one's own or of a region in several parts, are mixed: else all that are too many were of the last part.

    Args:
      region: The region.
      part: The part.
      share: The fraction of the region that it is, see :func:`measured_share`.
      parameters: The number of its coordinates, by which a region has a grid that asks for none of the cube.
      key: A JAX random key.
      num_points: The number N of points.
      method: See :func:`pinns.unit_points`.
      dtype: The type of the points.

    Returns:
      The points, shape (N, d).
    """
    if isinstance(as_sampler(method), Grid):
        return _even(region, part, share, parameters, num_points, dtype)
    return _first_accepted(region, part, share, key, num_points, method, dtype, _program(region, part))


def _program(region: Region, part: Part) -> str:
    """What objects of the user's compute now: equal ones may call what has changed, as in a notebook."""
    found = {id(owner): owner for owner in of_user((region, part))}.values()
    return " ".join(map(_trace, found))


def _trace(owner: Any) -> str:
    """The program by which an object draws points and tells those that belong to it, as far as it does."""
    if not hasattr(owner, "sample"):
        return ""

    def accepts(key: jax.Array) -> Any:
        points = owner.sample(key, _PROBES, "uniform", jnp.float32)
        return points, jax.vmap(owner.contains)(points) if hasattr(owner, "contains") else None

    with jax.ensure_compile_time_eval():
        key = jax.random.key(0)
    return trace_digest(accepts, key)


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 4, 5, 6, 7))
def _first_accepted(
    region: Region,
    part: Part,
    share: float,
    key: jax.Array,
    num_points: int,
    method: str | Sampler,
    dtype: DTypeLike,
    program: str,
) -> jax.Array:
    expected = num_points / share
    # Four deviations more than expected: a second round is rare.
    enough = num_points if share == 1 else math.ceil(expected + 4 * math.sqrt(expected * (1 - share) + 4))
    accepts = jax.vmap(part.accepts)
    in_parts = _is_in_parts(region, enough, program)

    def put(points: jax.Array, number: jax.Array, drawn: jax.Array) -> tuple[jax.Array, jax.Array]:
        belongs = accepts(drawn)
        place = jnp.where(belongs, number + jnp.cumsum(belongs) - 1, num_points)
        return points.at[place].set(drawn, mode="drop"), number + belongs.sum()

    def more(carry: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        points, number, round_ = carry
        again = jax.random.fold_in(key, round_)
        drawn = region.sample(again, enough, "uniform", dtype)
        drawn = jax.random.permutation(jax.random.fold_in(again, 0), drawn) if in_parts else drawn
        return *put(points, number, drawn), round_ + 1

    first = region.sample(key, enough, method, dtype)
    if in_parts or as_sampler(method) not in SAMPLERS.values():
        first = jax.random.permutation(jax.random.fold_in(key, 0), first)
    # A place that is never filled would be seen: NaN is no point.
    empty = jnp.full((num_points, first.shape[1]), jnp.nan, dtype)
    carry = (*put(empty, jnp.asarray(0), first), jnp.asarray(1))
    lacking = lambda carry: (carry[1] < num_points) & (carry[2] < _ROUNDS)
    return jax.lax.while_loop(lacking, more, carry)[0]


@functools.lru_cache(maxsize=256)
def _is_in_parts(region: Region, num_points: int, program: str) -> bool:
    """Whether points of a region may have an order: they are not made one by one of points of the cube."""
    del program  # part of what it is kept by
    try:
        asked = asked_for(region, num_points)
    except Exception:  # a user's region may know samplers by name alone, and raise what it likes of this one
        return True  # nothing is hidden: what is wrong with it otherwise, drawing its points raises
    return not asked or any(number < num_points for number, _ in asked)


def _even(
    region: Region, part: Part, share: float, parameters: int, num_points: int, dtype: DTypeLike
) -> jax.Array:
    """Points of the coarsest grid of the region of which enough belong, some of them left out evenly."""
    if asked := asked_for(region, num_points):
        parameters = math.lcm(*(dim for _, dim in asked))
    side = max(1, math.floor((num_points / share) ** (1 / parameters)))
    with jax.ensure_compile_time_eval():
        key = jax.random.key(0)  # the grid of every key
        while True:
            number = side**parameters
            points = jax.jit(lambda number=number: region.sample(key, number, "grid", dtype))()
            inside = np.asarray(points)[accepted(part, points)]
            if len(inside) >= num_points:
                return jnp.asarray(inside[evenly(len(inside), num_points)])
            side += 1


def accepted(part: Part, points: Any) -> np.ndarray:
    """Whether each of many points belongs; evaluated at once, also while something is traced."""
    with jax.ensure_compile_time_eval():
        return np.asarray(jax.jit(jax.vmap(part.accepts))(jnp.asarray(points)))

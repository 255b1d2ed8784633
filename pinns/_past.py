"""What came before a slab of time, for residuals that look back: delays, integrals over the past."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from pinns._functional import Functional, params_dtype
from pinns._identity import ADDED
from pinns._programs import Program
from pinns._unknowns import Values
from pinns.problems import Condition, Problem
from pinns.problems._base import conditions_of

_PROBES = 4096  # points that find a look back of a thousandth of a slab


class _Joined:
    """Networks of successive slabs as one function of x; of everything else it is the newest.

    A network of values, or of other coordinates than the domain's, whose time is not known, is the newest
    too.

    Args:
      parts: The networks, the oldest first.
      edges: The times between them.
      axis: The coordinate of time.
      dim: The number of coordinates.
      of_values: The names of networks of values.
      name: The name by which this one is asked for.
    """

    supports_jets = False

    def __init__(
        self,
        parts: Sequence[Any],
        edges: Sequence[Any],
        axis: int,
        dim: int,
        of_values: Sequence[str | None] = (),
        name: str | None = None,
    ):
        self._parts, self._edges, self._axis, self._dim = parts, edges, axis, dim
        self._of_values, self._name = of_values, name

    def __call__(self, x: jax.Array) -> jax.Array:
        if self._name in self._of_values or jnp.shape(x)[-1:] != (self._dim,):
            return self._parts[-1](x)
        value = self._parts[0](x)
        for part, edge in zip(self._parts[1:], self._edges, strict=True):
            before = x[..., self._axis] < edge

            def at_its_time(old: Any, new: Any, before: jax.Array = before) -> jax.Array:
                new = jnp.asarray(new)  # a scalar stays one
                return jnp.where(before.reshape(before.shape + (1,) * (new.ndim - before.ndim)), old, new)

            value = jax.tree.map(at_its_time, value, part(x))
        return value

    def __getitem__(self, name: str) -> "_Joined":
        parts = [part[name] for part in self._parts]
        return _Joined(parts, self._edges, self._axis, self._dim, self._of_values, name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parts[-1], name)


class _Blank:
    """A network of which nothing is known before a time: NaN."""

    def __init__(self, network: Any):
        self._network = network

    def __call__(self, x: jax.Array) -> jax.Array:
        return jax.tree.map(lambda value: jnp.full_like(value, jnp.nan), self._network(x))

    def __getitem__(self, name: str) -> "_Blank":
        return _Blank(self._network[name])


class OfBefore:
    """The network of the slab before, beside the coefficients of this one."""

    def __init__(self, network: Any, unknowns: Values):
        self._network, self.unknowns = network, unknowns

    def __call__(self, x: Any) -> Any:
        return self._network(x)

    def __getitem__(self, name: str) -> Any:
        return self._network[name]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "_network" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self._network, name)


@dataclasses.dataclass(frozen=True)
class _LooksBack:
    """A residual to which the network is that of its slab and of those before."""

    residual: Any
    past: "Past"

    def __call__(self, u: Any, x: Any) -> jax.Array:
        past = self.past
        parts = [function(params) for function, params in past.solutions]
        return self.residual(_Joined([*parts, u], past.edges, past.axis, past.dim, past.of_values), x)


@dataclasses.dataclass(frozen=True)
class Past:
    """The slabs before a time.

    Args:
      names: The conditions that look back.
      solutions: Network and parameters of each slab.
      edges: The time at which each ends.
      axis: The coordinate of time.
      dim: The number of coordinates.
      of_values: The names of networks of values, see :class:`pinns._closures.Closures`.
    """

    names: tuple[str, ...]
    solutions: Sequence[tuple[Functional, optax.Params]]
    edges: Sequence[float]
    axis: int
    dim: int
    of_values: tuple[str | None, ...] = dataclasses.field(default=(), metadata=ADDED)

    def seen_by(self, name: str, condition: Condition) -> Condition:
        """The condition, with a network that knows the past if it looks back."""
        if name not in self.names:
            return condition
        return dataclasses.replace(condition, residual=_LooksBack(condition.residual, self).__call__)


def looking_back(
    problem: Problem, model: Any, axis: int, begin: float, of_values: Sequence[str | None] = ()
) -> tuple[str, ...]:
    """Names of conditions that ask for the network before ``begin``: that are NaN where the network is."""
    function, params = problem.functional(model)
    dtype = params_dtype(params)
    declared = jax.eval_shape(lambda: problem.sample(jax.random.key(0), dtype=dtype))
    shapes: dict[str, Any] = {name: getattr(p, "shape", ()) for name, p in declared.items()}
    # Not of sets of nodes, which may be large.
    numbers = {n: max(s[0], _PROBES) for n, s in shapes.items() if s[1:] == (problem.domain.dim,)}
    points = problem.sample(jax.random.key(0), method="sobol", dtype=dtype, num_points=numbers)
    extent = problem.domain.upper[axis] - begin
    # Rounding of a point on the edge is no look back.
    edge = jnp.asarray(begin, dtype) - 10 * jnp.finfo(dtype).eps * max(abs(begin), extent)

    def unknown(params: optax.Params, points: Any) -> dict[str, jax.Array]:
        u = function(params)
        probe = _Joined([_Blank(u), u], [edge], axis, problem.domain.dim, of_values)
        found = {}
        for name, condition in conditions_of(problem).items():
            residuals = lambda u, c=condition, n=name: jax.vmap(lambda x: c.residual(u, x))(points[n])
            found[name] = jnp.any(jnp.isnan(residuals(probe)) & ~jnp.isnan(residuals(u)))
        return found

    return tuple(name for name, is_nan in Program(unknown)(params, points).items() if is_nan)

"""Networks of values beside those of the domain: a closure f(y), a conductivity k(x, u)."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from pinns._dependence import dependences, marked
from pinns._functional import params_dtype
from pinns._regions import FixedPoints
from pinns.problems import Problem
from pinns.problems._base import conditions_of


class Asked(NamedTuple):
    """Which networks a condition asks at arguments of as many coordinates as the domain has.

    Attributes:
      given: Those asked at what no network has computed: points, also moved by an unknown coefficient.
      computed: Those asked at what networks have computed.
    """

    given: frozenset[str]
    computed: frozenset[str]


class Closures(NamedTuple):
    """The networks of values, and the conditions that are about them.

    Attributes:
      names: The networks' names, with None if one of them is u itself, the first.
      conditions: The conditions whose points are such values, and no places in the domain.
      mixed: Those that ask a network of the domain there too.
    """

    names: tuple[str | None, ...] = ()
    conditions: tuple[str, ...] = ()
    mixed: tuple[str, ...] = ()


class _Asking:
    """A network whose arguments are marked by its name."""

    supports_jets = False

    def __init__(self, network: Any, name: str, dim: int):
        self._network, self._name, self._dim = network, name, dim

    def __call__(self, x: Any) -> Any:
        return self._network(marked(x, self._name) if jnp.shape(x)[-1:] == (self._dim,) else x)

    def __getitem__(self, name: str) -> "_Asking":
        return _Asking(self._network[name], name, self._dim)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)


def closures(problem: Problem, model: Any, unmoved: Collection[str] | None = None) -> Closures:
    """The networks of values: asked at what networks compute, and nowhere at points that are drawn.

    A solution that is asked at its own delay too, y(t − y(t)), is asked at t as well and is none of them.

    Args:
      problem: The problem.
      model: The network or the networks.
      unmoved: The conditions whose points need not be places; by default those at given points.
    """
    if not isinstance(model, Mapping) or len(model) < 2:
        return Closures()
    if unmoved is None:
        given = {name: isinstance(c.region, FixedPoints) for name, c in problem.conditions().items()}
        unmoved = [name for name, is_given in given.items() if is_given]
    asked = _asked(problem, model)
    placed = {network for name, of in asked.items() if name not in unmoved for network in of.given}
    values = {network for of in asked.values() for network in of.computed} - placed
    about = [name for name, of in asked.items() if of.given & values]
    mixed = tuple(name for name in about if asked[name].given - values)
    return Closures(
        (*sorted(values), *([None] if next(iter(model)) in values else [])),
        tuple(name for name in about if name not in mixed),
        mixed,
    )


def _asked(problem: Problem, model: Mapping[str, Any]) -> dict[str, Asked]:
    """The networks that each condition asks."""
    function, params = problem.functional(model)
    points = jax.eval_shape(lambda: problem.sample(jax.random.key(0), dtype=params_dtype(params)))
    is_of_network = lambda path, _: path[:1] != (jax.tree_util.DictKey("unknowns"),)
    by_networks = jax.tree_util.tree_map_with_path(is_of_network, params)
    first, dim, found = next(iter(model)), problem.domain.dim, {}
    for name, condition in conditions_of(problem).items():
        ask = lambda params, x, c=condition: c.residual(_Asking(function(params), first, dim), x)
        x = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), points[name])
        moved = [*jax.tree.leaves(by_networks), *(False for _ in jax.tree.leaves(x))]
        try:
            of = dependences(jax.make_jaxpr(ask)(params, x), moved)
        except Exception as error:  # whatever it is, it goes on its way with a note
            error.add_note(f"This is of the residual of condition {name!r}.")
            raise
        given, computed = (frozenset(n for n, is_moved in of if is_moved is kind) for kind in (False, True))
        found[name] = Asked(given, computed)
    return found

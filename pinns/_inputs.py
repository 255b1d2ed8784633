"""What a training is given is checked, in the user's words, before anything is compiled."""

import difflib
import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote, unquote

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.errors import TraceContextError
from jax.extend.core import ClosedJaxpr

from pinns._bounds import out_of_bounds
from pinns._broadcasts import VALUE, broadcasts, outer_broadcast
from pinns._evaluation import axis_names, declared_outputs
from pinns._functional import Functional
from pinns._identity import digest
from pinns._notes import is_measured, meant, where
from pinns._options import Shorthand, Stop
from pinns._precision import has_coarse_products
from pinns._regions import Domain
from pinns._warnings import warn_at_caller
from pinns._weights import AdaptiveWeights
from pinns.problems import Condition, Problem
from pinns.problems._base import conditions_of


def check_arguments(problem: Any, optimizer: Any, key: Any, weights: Any, stop: Any) -> None:
    """Raises TypeError for an argument of another kind than :func:`pinns.fit` takes."""
    _check_problem(problem)
    if not (callable(getattr(optimizer, "init", None)) and callable(getattr(optimizer, "update", None))):
        call = f" Call it: {optimizer.__name__}(...)." if hasattr(optimizer, "__name__") else ""
        raise TypeError(
            f"optimizer must be an optax optimiser, e.g. optax.adam(1e-3), got {_kind(optimizer)}.{call}"
        )
    check_key(key)
    if not isinstance(weights, AdaptiveWeights | None):
        raise TypeError(
            f"weights must be an AdaptiveWeights, got {_kind(weights)}; a weight that stays is the weight of "
            "its Condition."
        )
    if not isinstance(stop, Stop | None):
        raise TypeError(f"stop must be a Stop, e.g. Stop(seconds=60.0), got {_kind(stop)}.")


def check_key(key: Any) -> None:
    """Raises TypeError for what is no random key, as a seed is none."""
    if not isinstance(key, jax.Array | np.ndarray):
        raise TypeError(f"key must be a JAX random key, e.g. jax.random.key(0), got {key!r}.")


def check_options(shorthand: Iterable[str], fit: Callable[..., Any]) -> None:
    """Raises TypeError for an option that ``fit`` does not have, with the one that may be meant."""
    known = Shorthand.__annotations__
    for name in sorted(set(shorthand) - set(known)):
        near = difflib.get_close_matches(name, [*inspect.signature(fit).parameters, *known], 1)
        meant = f" Is {near[0]} meant?" if near else ""
        raise TypeError(f"fit has no option {name}.{meant}")


def check_model(problem: Problem, function: Functional, params: optax.Params, dtype: Any) -> None:
    """Evaluates every residual in form, without numbers.

    Raises:
      ValueError: A network that changes when it is called, outputs that are not those of the problem, or an
        index beyond them.
      TypeError: A residual that gives something else than real numbers.
    """
    points = jax.eval_shape(lambda: problem.sample(jax.random.key(0), dtype=dtype))
    sizes: dict[str, int] = {}
    outer: dict[str, str] = {}

    def call(u: Any) -> None:
        for name, condition in conditions_of(problem).items():
            x = _one_of(points[name])
            try:
                with jax.named_scope(f"condition[{quote(name, safe='')}]"):  # slashes part scopes
                    residual = condition.residual(u, x)
                shapes = outer_broadcast(functools.partial(_trace, condition.residual, u, x))
            except Exception as error:  # whatever it is, it goes on its way with a note
                error.add_note(where(name, x, problem) + meant(error, problem))
                raise
            _check_residual(name, residual)
            sizes[name] = jnp.size(residual)
            if shapes:
                outer[name] = shapes

    x = jnp.zeros(problem.domain.dim, dtype)
    predict: Any = problem.predict
    programs: list[ClosedJaxpr] = []
    try:
        changed = function.changing_state(params, call, lambda fn, *args: programs.append(_traced(fn, *args)))
    except TraceContextError:  # no change can leave a derivative: called plainly, the network tells its names
        changed = function.changing_state(params, lambda u: predict(u, x)) or ["a variable"]
    if changed:
        raise ValueError(
            f"the network changes when it is called ({', '.join(sorted(changed))}): statistics of batches "
            "and random streams are not carried through a training. Call model.eval() of an nnx.Module "
            "first, which sets use_running_average=True and deterministic=True, or leave such layers out."
        )
    sums = {(_condition_in(s.scope), s._replace(scope="")) for p in programs for s in broadcasts(p)}
    meant_otherwise = sorted((name, s) for name, s in sums if sizes.get(name) == s.size)
    for name, (_, outputs, numbers, measured) in meant_otherwise:
        warn_at_caller(
            f"condition {name!r} compares {outputs} output{'s' * (outputs > 1)} of the network with "
            f"{numbers} value{'s' * (numbers > 1)}, each with each: choose by u(x['x'])[i] and x['value'][j]."
            if measured
            else f"the residual of condition {name!r} adds one output of the network to {numbers} numbers, "
            "each with each: is an index missing, as in u(x) - jnp.sin(x[:1]), or an output?"
        )
    for name, shapes in outer.items():
        if name not in dict(meant_otherwise):
            warn_at_caller(
                f"the residual of condition {name!r} combines arrays of shapes {shapes}, each number with "
                "each: is an index missing, as in jax.vmap(u)(nodes)[:, 0]? If it is meant, write [:, None]."
            )
    if any(has_coarse_products(program.jaxpr) for program in programs):
        warn_at_caller(
            "products of float32 matrices are made with three digits or two on this device (TF32, bfloat16), "
            "which ends the fall of a residual early: jax.config.update('jax_default_matmul_precision', "
            "'highest'), or float64."
        )
    axis_names(problem)
    names = declared_outputs(problem)
    if names:
        number = jax.eval_shape(lambda p: jnp.ravel(problem.predict(function(p), x)), params).size
        if number != len(names):
            raise ValueError(
                f"the problem names {len(names)} outputs, {', '.join(names)}, and the network gives "
                f"{number}: choose its number of outputs, or predict(u, x)."
            )


def _one_of(points: Any) -> Any:
    """A point, or what stands for one of the points of a region: no results of operations of a program."""

    def one(path: Any, leaf: Any) -> jax.Array:
        with jax.ensure_compile_time_eval():
            if jnp.issubdtype(leaf.dtype, jax.dtypes.extended):  # random keys
                return jnp.zeros(leaf.shape[1:], leaf.dtype)
            is_value = is_measured(points) and jax.tree_util.DictKey("value") in path[:1]
            return jnp.asarray(np.full(leaf.shape[1:], VALUE if is_value else 0, leaf.dtype))

    return jax.tree_util.tree_map_with_path(one, points)


def _trace(residual: Callable[..., Any], u: Any, x: Any) -> None:
    """Calls a residual at a point without numbers, as a training does: NumPy takes none."""

    def call(x: Any) -> None:
        residual(u, x)

    jax.eval_shape(call, x)


def _traced(fn: Callable[..., Any], *args: Any) -> ClosedJaxpr:
    """The program of ``fn``.

    Raises:
      ValueError: A constant index lies beyond its axis.
    """
    closed = jax.make_jaxpr(fn)(*args)
    found = out_of_bounds(closed.jaxpr, closed.consts)
    if found:
        name = _condition_in(found.scope)
        where = f" in the residual of condition {name!r}" if name else ""
        raise ValueError(
            f"index {found.index}{where} lies beyond an axis of length {found.size} (of an array of shape "
            f"{found.shape}); JAX would take the last entry. Of a network the length is the number of its "
            "outputs, of derivatives that of the axes that were asked for."
        )
    return closed


def _condition_in(scope: str) -> str:
    """The name of the condition whose residual was traced under this name; empty if none was."""
    found = re.search(r"condition\[([^/]*)\]", scope)
    return unquote(found[1]) if found else ""


def _check_problem(problem: Any) -> None:
    if isinstance(problem, type) or not isinstance(problem, Problem):
        make = f"; make one: {problem.__name__}()" if isinstance(problem, type) else ""
        raise TypeError(f"fit takes a pinns.Problem, got {_kind(problem)}{make}.")
    name = type(problem).__name__
    if not hasattr(problem, "domain"):
        raise TypeError(f"{name} needs a domain, e.g. domain = Box((0.0, 0.0), (1.0, 1.0)).")
    if not isinstance(problem.domain, Domain):
        raise TypeError(f"the domain of {name} must be a Box, a Ball, ..., got {_kind(problem.domain)}.")
    conditions = problem.conditions()
    if not isinstance(conditions, Mapping) or not conditions:
        got = "none" if isinstance(conditions, Mapping) else _kind(conditions)
        raise TypeError(
            f"conditions() of {name} must return conditions by name, {{'pde': Condition(...), ...}}, "
            f"got {got}."
        )
    for key, condition in conditions.items():
        if not isinstance(key, str):
            raise TypeError(f"the conditions of {name} need names, {{'pde': Condition(...)}}, got {key!r}.")
        if not isinstance(condition, Condition):
            raise TypeError(f"conditions()[{key!r}] of {name} must be a Condition, got {_kind(condition)}.")
    again = problem.conditions()
    others = [
        key
        for key, c in conditions.items()
        if key not in again or digest(c.region) != digest(again[key].region)
    ]
    if others:
        raise ValueError(
            f"conditions() of {name} gives other regions each time it is called, which happens many times "
            f"({', '.join(map(repr, others))}): give random numbers in it a seed, or draw them outside of it."
        )


def _check_residual(name: str, residual: Any) -> None:
    if not isinstance(residual, jax.Array) and not jnp.isscalar(residual):
        raise TypeError(
            f"the residual of condition {name!r} must be an array, zero where the condition holds, got "
            f"{_kind(residual)}" + (": it has no return." if residual is None else ".")
        )
    if not jnp.issubdtype(jnp.result_type(residual), jnp.floating):
        raise TypeError(
            f"the residual of condition {name!r} must be of real numbers, got "
            f"{jnp.result_type(residual)}. Of a comparison take the difference of both sides, of complex "
            "numbers the real and the imaginary part."
        )


def _kind(value: Any) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return f"the function {value.__name__}" if hasattr(value, "__name__") else f"a {type(value).__name__}"

"""Where a training begins: a network, or the result of another training."""

import dataclasses
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from pinns._evaluation import predict
from pinns._functional import Functional, params_dtype
from pinns._result import FitResult
from pinns._unknowns import declared
from pinns._warnings import warn_at_caller
from pinns.problems import Problem

_POINTS = 64
_DIFFERENT = 0.01


def starting(problem: Problem, model: Any) -> tuple[Functional, optax.Params]:
    """The function that is trained, and the parameters from which it is: of a result all that it found.

    Unknowns begin with their values, also where one of the two problems trains their logarithm. Warns where
    the result's network is another function in this problem, between other scalings.

    Raises:
      ValueError: The result is of a problem with other unknowns, or found a value that a positive one cannot
        have.
    """
    if not isinstance(model, FitResult):
        return problem.functional(model)
    function, params = problem.functional(model.model)
    shapes = [jax.tree.map(jnp.shape, tree) for tree in (params, model.params)]
    if jax.tree.structure(params) != jax.tree.structure(model.params) or shapes[0] != shapes[1]:
        raise ValueError(
            "the result is of a problem with other unknowns: begin from its network alone, result.model, and "
            "give the unknowns their starts by Unknown(start)."
        )
    found: Any = optax.tree.cast_like(model.params, params)
    now, before = declared(problem.unknowns()), declared(model.problem.unknowns())
    for name, unknown in now.items():
        if unknown.positive != before[name].positive:
            value = before[name].value(found["unknowns"][name])
            start = dataclasses.replace(unknown, start=np.asarray(value)).initial(value.dtype)
            found = found | {"unknowns": found["unknowns"] | {name: start}}
    before_it, _ = model.problem.functional(model.model)
    if not _is_same(function, before_it):
        moved = _difference(problem, function, found, before_it, model.params)
        if moved > _DIFFERENT:
            warn_at_caller(
                f"the result's network is another function in this problem, by {moved:.1g} of its size: it "
                "was trained between the scalings of inputs and outputs of another one. Train "
                "result.problem, or dataclasses.replace(result.problem, problem=...) for another equation "
                "with the same scalings. To begin from its weights as they are, give result.model, or, with "
                "its unknowns, dataclasses.replace(result, problem=...) of this problem."
            )
    return function, found


def _is_same(one: Functional, other: Functional) -> bool:
    """Whether two functions of parameters are the same by what they hold."""
    is_key = lambda leaf: jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    equal = lambda a, b: a is b or (not is_key(a) and np.array_equal(a, b))
    leaves = [jax.tree.leaves(each) for each in (one, other)]
    alike = jax.tree.structure(one) == jax.tree.structure(other)
    return alike and all(itertools.starmap(equal, zip(*leaves, strict=True)))


def _difference(problem: Problem, one: Functional, first: Any, other: Functional, second: Any) -> float:
    """How far two functions are apart on the domain, relative to the larger; 0 where they are not finite."""
    points = problem.domain.sample(jax.random.key(0), _POINTS, "uniform", params_dtype(first))

    def values(function: Functional, params: Any) -> np.ndarray:
        u = function(params)
        return np.asarray(predict(lambda x: problem.predict(u, x), points), dtype=float)

    here, there = values(one, first), values(other, second)
    finite = np.isfinite(here) & np.isfinite(there)
    apart = np.max(np.abs(here - there), where=finite, initial=0.0)
    return float(apart / (np.max(np.abs([here, there]), where=finite, initial=0.0) or 1.0))

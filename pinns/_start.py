"""Where a training begins: a network, or the result of another training."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from pinns._functional import Functional
from pinns._result import FitResult
from pinns._unknowns import declared
from pinns.problems import Problem


def starting(problem: Problem, model: Any) -> tuple[Functional, optax.Params]:
    """The function that is trained, and the parameters from which it is: of a result all that it found.

    Unknowns begin with their values, also where one of the two problems trains their logarithm.

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
    return function, found

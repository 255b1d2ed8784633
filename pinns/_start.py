"""Where a training begins: a network, or the result of another training."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from pinns._functional import Functional
from pinns._result import FitResult
from pinns.problems import Problem


def starting(problem: Problem, model: Any) -> tuple[Functional, optax.Params]:
    """The function that is trained, and the parameters from which it is: of a result all that it found.

    Raises:
      ValueError: The result is of a problem with other unknowns.
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
    return function, optax.tree.cast_like(model.params, params)

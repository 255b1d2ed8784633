"""What a training on disk is told by."""

import platform
import re
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import optax

from pinns._functional import Functional
from pinns._identity import digest, fingerprint
from pinns._sampling import Sampling
from pinns._weights import AdaptiveWeights
from pinns.problems import Problem


def run_identity(
    problem: Problem,
    params: optax.Params,
    optimizer: optax.GradientTransformation,
    key: jax.Array,
    sampling: Sampling,
    weights: AdaptiveWeights | None,
) -> dict[str, Any]:
    """Everything that makes the run what it is, in JSON values that mean the same everywhere."""
    numbers = sampling.numbers(problem)
    conditions = {
        name: {"region": c.region, "num_points": numbers[name], "weight": c.weight}
        | ({"loss": c.loss} if c.loss else {})
        for name, c in problem.conditions().items()
    }
    return {
        "problem": fingerprint(problem),
        "conditions": fingerprint(conditions),
        "model": str([(leaf.shape, str(leaf.dtype)) for leaf in jax.tree.leaves(params)]),
        "optimizer_settings": fingerprint(optimizer),
        "key": str(np.asarray(jax.random.key_data(key)).tolist()),
        "sampling": fingerprint(sampling),
        "weights": fingerprint(weights),
    }


def program_identity(
    problem: Problem,
    function: Functional,
    params: optax.Params,
    optimizer: optax.GradientTransformation,
    dtype: Any,
) -> dict[str, Any]:
    """What the equation and the optimiser's functions compute, as these versions of Python and JAX say it.

    The equation is told by the jaxpr of each condition, with all numbers in it, wherever they come from.
    """
    points = jax.eval_shape(lambda: problem.sample(jax.random.key(0), dtype=dtype))
    names = list(problem.conditions())
    return {
        "equation": {name: _equation(problem, function, params, points, i) for i, name in enumerate(names)},
        "optimizer_code": digest(optimizer, code=True),
    }


def program_name() -> str:
    """The versions for which :func:`program_identity` holds."""
    return f"python{'.'.join(platform.python_version_tuple()[:2])}-jax{jax.__version__}"


def _equation(
    problem: Problem, function: Functional, params: optax.Params, points: Mapping[str, Any], index: int
) -> str:
    residuals = lambda params, points: problem.loss(function, points).blocks[index].residuals(params)
    closed = jax.make_jaxpr(residuals)(params, points)
    # JAX colours what it prints in a terminal and in a notebook, where the run may have begun or go on.
    text = re.sub(r" at 0x[0-9a-f]+", "", closed.jaxpr.pretty_print(use_color=False))
    text = re.sub(r"\d+\.\d+(e[+-]?\d+)?", lambda number: f"{float(number[0]):.8g}", text)
    return digest([text, [_rounded(constant) for constant in closed.consts]])


def _rounded(constant: Any) -> list[Any]:
    """An array in a few figures: other processors round what was computed there in another way."""
    array = np.asarray(constant)
    if not array.size or not np.issubdtype(array.dtype, np.inexact):
        return [array]
    values = (np.abs(array) if np.iscomplexobj(array) else array).ravel().astype(float)
    places = np.linspace(0.5, 1.5, values.size)  # so that the order counts
    figures = [np.mean(values), np.sqrt(np.mean(values**2)), np.mean(places * values)]
    return [str(array.dtype), list(array.shape), [f"{figure:.4g}" for figure in figures]]

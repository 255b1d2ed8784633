"""What a training on disk is told by."""

import platform
import re
from collections.abc import Mapping
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax

import isgd_optax
from pinns._functional import Functional
from pinns._identity import contents, digest, fingerprint
from pinns._sampling import Sampling
from pinns._traces import constants, program_text
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
        name: {"region": c.region, "num_points": numbers[name], "weight": c.scaled_weight}
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


def start_identity(params: optax.Params) -> list[Any]:
    """From which parameters a run begins, in a few figures."""
    rounded = [_rounded(leaf) for leaf in jax.tree.leaves(params)]
    return [figures if isinstance(figures[0], str) else [digest(figures)] for figures in rounded]


def program_identity(
    problem: Problem,
    function: Functional,
    params: optax.Params,
    optimizer: optax.GradientTransformation,
    method: Any,
    dtype: Any,
) -> dict[str, Any]:
    """What the equation and the user's functions compute, as these versions say it.

    The equation is told by the jaxpr of each condition, its weight and its loss, with all numbers in it,
    wherever they come from.
    """
    points = jax.eval_shape(lambda: problem.sample(jax.random.key(0), dtype=dtype))
    conditions = problem.conditions()
    regions = {name: condition.region for name, condition in conditions.items()}
    own = {k: r for k, r in regions.items() if type(r).__module__.partition(".")[0] != "pinns"}
    return {
        "equation": {k: _equation(problem, function, params, points, i) for i, k in enumerate(conditions)},
        "optimizer_code": digest(optimizer, code=True),
        "regions": {k: digest([type(r).sample, contents(r)], code=True) for k, r in own.items()},
        "sampling": digest(method, code=True),
    }


def program_name() -> str:
    """The versions, and the numbers of Python's floats in JAX, for which :func:`program_identity` holds."""
    python = ".".join(platform.python_version_tuple()[:2])
    modules = (jax, optax, flax, isgd_optax)
    x64 = ["x64"] * bool(jax.config.read("jax_enable_x64"))
    return "-".join([f"python{python}", *(f"{m.__name__}{m.__version__}" for m in modules), *x64])


def _equation(
    problem: Problem, function: Functional, params: optax.Params, points: Mapping[str, Any], index: int
) -> str:
    loss = lambda params, points: problem.loss(function, points).blocks[index](params)
    closed = jax.make_jaxpr(loss)(params, points)
    text = re.sub(r"\d+\.\d+(e[+-]?\d+)?", lambda number: f"{float(number[0]):.8g}", program_text(closed))
    return digest([text, [_rounded(constant) for constant in constants(closed)]])


def _rounded(constant: Any) -> list[Any]:
    """An array in a few figures: other processors round what was computed there in another way."""
    if jnp.issubdtype(getattr(constant, "dtype", float), jax.dtypes.prng_key):
        constant = jax.random.key_data(constant)
    array = np.asarray(constant)
    if not array.size or not jnp.issubdtype(array.dtype, jnp.inexact):  # NumPy does not know bfloat16
        return [array]
    values = (np.abs(array) if np.iscomplexobj(array) else array).ravel().astype(float)
    places = np.linspace(0.5, 1.5, values.size)  # so that the order counts
    size = np.sqrt(np.mean(values**2))
    means = [np.mean(v) / (size or 1) for v in (values, places * values)]  # of zeros only in sum, rounding
    return [
        str(array.dtype),
        list(array.shape),
        f"{size:.4g}",
        [round(float(mean), 4) + 0.0 for mean in means],
    ]

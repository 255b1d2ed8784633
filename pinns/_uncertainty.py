"""How sure a training is: standard errors of unknowns, and an estimate of the solution's error."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from isgd_optax import LeastSquares, diagnostics
from pinns._evaluation import evaluation_points, predict
from pinns._functional import params_dtype
from pinns._points import PointSource
from pinns._sampling import Sampling
from pinns._unknowns import declared
from pinns._warnings import warn_at_caller
from pinns.problems import Problem

_ESTIMATE = 3_000_017  # the stream of points of an estimate
_FAR = 1e-3  # of a coefficient: of data without noise the standard error is next to nothing
Ends = dict[str, tuple[np.ndarray, np.ndarray]]


def covariance(
    problem: Problem, loss: LeastSquares, params: Any, noise_std: diagnostics.NoiseStd | None = None
) -> diagnostics.Covariance | None:
    """The covariance of what is trained for the unknowns; warns where the training has not arrived.

    None of a part of a problem, a slab of time, without any of the measurements whose noise is the errors'
    cause: nothing in it holds the unknowns.
    """
    noisy = _noisy(problem)
    whole: Any = problem
    while not noisy and isinstance(getattr(whole, "problem", None), Problem):
        whole = whole.problem
        if _noisy(whole):
            return None
    select = lambda tree: tree["unknowns"]
    found = diagnostics.covariance(
        loss, params, select=select, noisy=noisy or None, noise_std=noise_std, pooled=False
    )
    if not noisy and noise_std is None:
        _warn_of_no_noise(found)
    size = {  # of the coefficient; a step of a logarithm is one relative to it
        name: 1.0 if u.positive else np.maximum(np.abs(found.estimate[name]), np.abs(u.start))
        for name, u in declared(problem.unknowns()).items()
    }
    far = [
        name
        for name, step in found.step_left.items()
        if np.any(np.abs(step) > np.maximum(found.standard_error[name], _FAR * size[name]))
    ]
    if far:
        warn_at_caller(
            f"the training has not reached its minimum: the linear model moves {', '.join(far)} by more than "
            "a standard error still, so that standard errors and intervals tell nothing of the distance to "
            "the truth. Train longer, or lower the weights that make it slow."
        )
    return found


def _warn_of_no_noise(found: diagnostics.Covariance) -> None:
    """Warns where residuals of an equation are taken for noise, and do not tell how large that is."""
    freedom = found.degrees_of_freedom
    freedom = freedom if isinstance(freedom, dict) else dict.fromkeys(found.standard_error, freedom)
    untold = [name for name, degrees in freedom.items() if np.any(np.asarray(degrees) < 1)]
    if untold:
        warn_at_caller(
            f"standard errors and intervals of {', '.join(untold)} tell nothing: no condition is declared "
            "noisy, so that the residuals of each are taken for noise of its own size, which the few "
            "residuals of an end, an integral or a norm cannot tell. Give the condition of the measurements "
            "noisy=True; without measurements there is no noise, and result.error_estimate() tells how far "
            "the solution may be off."
        )


def _noisy(problem: Problem) -> list[str]:
    return [name for name, condition in problem.conditions().items() if condition.noisy]


def estimates(
    problem: Problem, params: optax.Params, found: diagnostics.Covariance | None, otherwise: float = np.nan
) -> Ends:
    """Values and standard errors of the unknowns, by the delta method where a logarithm is trained.

    Args:
      problem: The problem.
      params: What is trained.
      found: Its covariance, or None.
      otherwise: The standard error where that is None.
    """
    unknowns = declared(problem.unknowns())
    if not unknowns:
        return {}
    trained: dict[str, jax.Array] = params["unknowns"]  # pyright: ignore[reportIndexIssue, reportAssignmentType, reportArgumentType, reportCallIssue]
    if found is None:
        errors = jax.tree.map(lambda x: jnp.full_like(x, otherwise), trained)
    else:
        errors = found.standard_error
    return {
        name: (
            np.asarray(unknown.value(trained[name])),
            np.asarray(errors[name] * unknown.slope(trained[name])),
        )
        for name, unknown in unknowns.items()
    }


def intervals(
    problem: Problem, params: optax.Params, found: diagnostics.Covariance | None, level: float
) -> Ends:
    """Intervals of the unknowns: ends of those of what is trained; infinite ones without a covariance."""
    unknowns = declared(problem.unknowns())
    if found is None:
        trained: dict[str, jax.Array] = params["unknowns"]  # pyright: ignore[reportIndexIssue, reportAssignmentType, reportArgumentType, reportCallIssue]
        low, high = (jax.tree.map(lambda x, e=end: jnp.full_like(x, e), trained) for end in (-np.inf, np.inf))
    else:
        low, high = found.intervals(level)
    return {
        name: (np.asarray(unknown.value(low[name])), np.asarray(unknown.value(high[name])))
        for name, unknown in unknowns.items()
    }


def error_estimate(problem: Problem, model: Any, params: optax.Params, key: jax.Array | None) -> float:
    """The relative change of the solution that fresh points ask for."""
    function, _ = problem.functional(model)
    dtype = params_dtype(params)
    loss = lambda points, weights=None: problem.loss(function, points, weights)
    key = jax.random.key(_ESTIMATE) if key is None else key
    draws = (problem.sample(k, method="sobol", dtype=dtype) for k in jax.random.split(key))
    if all(map(np.array_equal, *map(jax.tree.leaves, draws))):
        raise ValueError(
            "error_estimate needs points that the training has not seen, and all conditions are at given "
            "points, or at others that never change: hold some of them back and compare there."
        )
    source = PointSource(problem, Sampling(method="sobol", num_points="auto"), loss, params, key, dtype)
    grid = evaluation_points(problem, dtype)

    def predicted(params: optax.Params) -> jax.Array:
        u = function(params)
        return predict(lambda x: problem.predict(u, x), grid)

    return float(diagnostics.error_estimate(loss(source.draw(key)), params, predicted).relative)

"""What a training says of what it is given, before its first step."""

import sys
import warnings
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from pinns._closures import closures
from pinns._embeddings import holds_units, units_of
from pinns.problems import Points, Problem

_BETWEEN = ("pinns", "isgd_optax", "jax", "flax", "functools", "contextlib")
_LARGE = 100.0
_LEAST_DIFFERENT = 1000  # numbers along a coordinate


class FitWarning(UserWarning):
    """Something that a training noticed and that its loss does not tell."""


def warn_at_caller(message: str) -> None:
    """Warns at the user's line that led here, whatever lies between.

    Python shows a message once for each line: below ``functools.cached_property`` that would be the same
    line for every result.
    """
    frame, level = sys._getframe(), 1
    while frame.f_back and str(frame.f_globals.get("__name__")).partition(".")[0] in _BETWEEN:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, FitWarning, stacklevel=level)


def warn_few_residuals(num_residuals: int, num_parameters: int) -> None:
    """Warns if the residuals can be interpolated."""
    if num_residuals < num_parameters:
        warn_at_caller(
            f"the loss takes {num_residuals} residuals and the model has {num_parameters} parameters: it can "
            "make the loss as small as it likes and be wrong between the points. Take more points "
            "(sampling=Sampling(num_points='auto') or the problem's numbers) or a smaller network, and watch "
            "fresh_loss."
        )


def warn_coordinates(problem: Problem, model: Any, dtype: Any) -> None:
    """Warns if a network that sees the coordinates themselves saturates, or hardly changes, or few differ."""
    lower, upper = np.asarray(problem.domain.lower), np.asarray(problem.domain.upper)
    width, away = upper - lower, np.maximum(np.abs(lower), np.abs(upper))
    apart = float(jnp.finfo(dtype).eps) * away
    for i in np.flatnonzero((width < _LEAST_DIFFERENT * apart) & (width < 0.1 * away)):
        warn_at_caller(
            f"coordinate {i} runs from {lower[i]:.10g} to {upper[i]:.10g}, where numbers of type "
            f"{jnp.dtype(dtype).name} are {apart[i]:.1g} apart: points fall together. Measure it from where "
            "the domain begins, or train a float64 network with jax_enable_x64."
        )
    several = isinstance(model, Mapping)
    seen = [_sees(network, len(width)) for network in (model.values() if several else [model])]
    raw = np.any(seen, axis=0) & (not problem.scales_inputs)
    scale = "" if several else "train scaled(problem, model, key) instead of the problem, or "
    largest = max(away[raw], default=1.0)
    if largest > _LARGE:
        warn_at_caller(
            f"coordinates of the domain reach {largest:g}, at which tanh and its like saturate: {scale}give "
            "the network an embedding that maps them to [-1, 1]."
        )
    narrowest = min(width[raw], default=1.0)
    if narrowest < 1 / _LARGE:
        warn_at_caller(
            f"the domain is only {narrowest:g} wide along a coordinate, over which a network hardly changes: "
            f"{scale}choose another unit, or give the network an embedding that maps it to [-1, 1]."
        )


def _sees(network: Any, dim: int) -> np.ndarray:
    """Along which axes a network sees coordinates as they are; none where it has others, or units inside."""
    embedding = getattr(network, "embedding", None)
    if getattr(embedding or network, "in_features", dim) != dim or holds_units(network):
        return np.zeros(dim, bool)
    return ~np.array(units_of(embedding) or (False,) * dim)


def warn_not_predicted(points: np.ndarray) -> None:
    """Warns of points at which there is no prediction, so that no error can be measured."""
    warn_at_caller(
        f"predict(u, x) is not finite at {len(points)} of the points of evaluation, e.g. at "
        f"{points[0].tolist()}: errors are NaN, and no target is reached. Give it its limit there, by "
        "jnp.where with an argument that is safe on both sides."
    )


def warn_outside(problem: Problem, model: Any, points: Points) -> None:
    """Warns of given points that lie far outside of the domain: of another unit, most often."""
    lower, upper = np.asarray(problem.domain.lower), np.asarray(problem.domain.upper)
    for name, given in points.items():
        x = given.get("x") if isinstance(given, Mapping) else given
        x = x if isinstance(x, jax.Array) else jnp.zeros(0)  # a region of one's own gives what it likes
        # Nodes that a residual sees at once may lie before a slab of time.
        if x.ndim != 2 or x.shape[-1] != lower.size or not x.is_fully_addressable:
            continue
        x = np.asarray(x)
        low, high = x.min(axis=0), x.max(axis=0)
        far = np.flatnonzero((low < lower - 0.5 * (upper - lower)) | (high > upper + 0.5 * (upper - lower)))
        if far.size and name not in closures(problem, model).conditions:
            i = far[0]
            warn_at_caller(
                f"points of condition {name!r} reach from {low[i]:g} to {high[i]:g} along coordinate {i}, "
                f"the domain from {lower[i]:g} to {upper[i]:g}: are they in the same unit?"
            )


def warn_independent(conditions: list[str]) -> None:
    """Warns of residuals that no parameter changes."""
    if conditions:
        names = ", ".join(repr(name) for name in conditions)
        warn_at_caller(
            f"the residual of condition {names} does not depend on the network's parameters: no training can "
            "lower it. Does it call u? Has the activation the derivatives that it takes (relu has no "
            "second)? Is the domain tiny in its unit (scaled)?"
        )


def warn_more_steps(step: int, num_steps: int) -> None:
    """Warns if a run on disk is further than it is asked for."""
    if step > num_steps:
        warn_at_caller(
            f"the run in checkpoint_dir has made {step} steps, more than num_steps={num_steps}: it is "
            "returned as it is. For a shorter run choose another folder."
        )


def warn_other_start(otherwise: bool, given: optax.Params, reached: optax.Params) -> None:
    """Warns if a run on disk neither began from the parameters that are given nor has come to them."""
    pairs = zip(jax.tree.leaves(given), jax.tree.leaves(reached), strict=True)
    if otherwise and not all(np.allclose(one, other, rtol=1e-5) for one, other in pairs):
        warn_at_caller(
            "the run in checkpoint_dir began from other parameters (another seed of the network, another "
            "start of an unknown) and goes on from its own: choose another folder for a new run."
        )

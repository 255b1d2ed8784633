"""Sizes of outputs at which residuals balance, measured with an untrained network."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from pinns._numbers import root_mean_square

_ROUNDS = 3
_BLURRED = 100
"""A change of a residual by fewer roundings than these is measured by a derivative, not as a difference."""
Residuals = Callable[[jax.Array], list[jax.Array]]


def rms(x: jax.Array) -> float:
    """The root mean square as a number."""
    return float(root_mean_square(x))


def output_sizes(
    residuals: Residuals, num_outputs: int, dtype: jnp.dtype
) -> tuple[np.ndarray, list[int], np.ndarray]:
    """The sizes of the outputs, which of them would have one that the type cannot hold, and all sources.

    Args:
      residuals: The residuals of each condition, given the sizes of the outputs; compiled.
      num_outputs: The number of outputs.
      dtype: The type of the sizes.

    Returns:
      Shape (num_outputs,); numbers of outputs; and by condition the size of its residual where all outputs
      are zero.
    """
    rest = residuals(jnp.zeros(num_outputs, dtype))
    sources = np.array([rms(r) for r in rest])
    derivative = jax.jit(lambda at, along: jax.jvp(residuals, (at,), (along,))[1])
    sizes, beyond = np.ones(num_outputs), np.zeros(num_outputs, bool)
    for _ in range(_ROUNDS):
        slopes = np.zeros((len(rest), num_outputs))
        for j, size in enumerate(sizes):
            one = jnp.zeros(num_outputs, dtype).at[j].set(jnp.asarray(size, dtype))
            slopes[:, j] = _changes(residuals, derivative, rest, sources, one) / size
        unknown = np.zeros(num_outputs, bool)
        sizes, known, beyond = _balanced(sources, slopes, sizes, unknown, dtype)
        while 0 < known.sum() < num_outputs:  # the others are driven by these, if by anything
            driving = residuals(jnp.asarray(np.where(known, sizes, 0), dtype))
            before, driven = known, np.array([rms(r) for r in driving])
            sizes, known, beyond = _balanced(driven, slopes, sizes, known, dtype)
            if (known == before).all():
                break
    return sizes, np.flatnonzero(beyond).tolist(), sources


def _changes(
    residuals: Residuals,
    derivative: Callable[[jax.Array, jax.Array], list[jax.Array]],
    rest: list[jax.Array],
    sources: np.ndarray,
    one: jax.Array,
) -> np.ndarray:
    """By how much each condition changes from rest by one output of its size."""
    changes = lambda outputs: [r - r0 for r, r0 in zip(residuals(outputs), rest, strict=True)]
    sizes = np.array([rms(change) for change in changes(one)])
    blurred = sizes < _BLURRED * float(jnp.finfo(one.dtype).eps) * sources
    if not blurred.any():
        return sizes
    # Most of these do not hold the output: however large it is, they stay, and nothing need be compiled.
    with jax.debug_nans(False), jax.debug_infs(False):
        holds = np.array([bool(jnp.any(change != 0)) for change in changes(jnp.where(one == 0, 0, jnp.inf))])
    if not (blurred & holds).any():
        return sizes
    exact = [rms(r) for r in derivative(one / 2, one)]  # half way: also of squares
    return np.where(blurred, exact, sizes)


def _balanced(
    sources: np.ndarray, slopes: np.ndarray, before: np.ndarray, known: np.ndarray, dtype: jnp.dtype
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The sizes at which outputs balance the sources of the conditions in which they count.

    Returns:
      The sizes, which outputs have one, and which would have one that the type cannot hold.
    """
    sizes, known, beyond = before.copy(), known.copy(), np.zeros_like(known)
    for j in np.flatnonzero(~known):
        slope = slopes[:, j]
        counts = (slope > 0) & (slope >= 0.1 * slopes.max(axis=1)) & (sources > 0)
        ratios = sources[counts] / slope[counts]
        if ratios.size and np.all(np.isfinite(ratios)):
            beyond[j] = not float(jnp.finfo(dtype).tiny) < ratios.max() < float(jnp.finfo(dtype).max)
            known[j] = not beyond[j]
            sizes[j] = ratios.max() if known[j] else sizes[j]
    return sizes, known, beyond

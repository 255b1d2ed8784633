"""Covariance, standard errors and intervals of chosen parameters, from the Gauss–Newton matrix."""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax

from isgd_optax._checks import check_at_least
from isgd_optax._gauss_newton._losses import LeastSquares
from isgd_optax._sharding import without_explicit_axes
from isgd_optax.diagnostics._gram import compiled_rows
from isgd_optax.diagnostics._noise import (
    NoiseStd,
    NoisyBlock,
    estimated_noise,
    given_noise,
    noisy_blocks,
    propagated,
)
from isgd_optax.diagnostics._profile import profile
from isgd_optax.diagnostics._rounding import rounding
from isgd_optax.diagnostics._uncertainty import Covariance

_COARSE = 1e-3  # of rounding: usual designs have singular values below this

Tree = TypeVar("Tree")


def covariance(
    loss: LeastSquares,
    params: optax.Params,
    *,
    select: Callable[[Any], Tree] | None = None,
    noisy: Sequence[str] | None = None,
    noise_std: NoiseStd | None = None,
    pooled: bool = True,
    rcond: float | None = None,
) -> Covariance[Tree]:
    r"""The covariance of chosen parameters at a minimum of a least-squares loss, to first order in the noise.

    With the scaled residuals r, ‖r‖² = L, their Jacobian J and noise of covariance :math:`\Sigma` in some of
    them, a minimum moves by :math:`d\theta = -J^+ \varepsilon`. With J = (G, F), F the columns of the chosen
    parameters and G those of all others, and Q the projection onto what G does not reach,

    .. math:: \operatorname{Cov} = A \Sigma A^T, \qquad A = (Q F)^+

    which for noise in all residuals, of variance τ², is the classical :math:`\tau^2 (J^T J)^{-1}`. Where only
    the data are noisy and an equation is not, name the data in ``noisy``: this is the sandwich.

    The noise is taken from the residuals unless ``noise_std`` says it. The loss is then taken at its word:
    all scaled noisy residuals have one variance, so that a residual of weight w has the variance τ²N/w. With
    :math:`M = I - \text{hat}` among the noisy residuals :math:`\hat\tau^2 = \lVert r \rVert^2 /
    \operatorname{tr} MM^T`, with :math:`(\operatorname{tr} MM^T)^2 / \operatorname{tr} (MM^T)^2` degrees of
    freedom, both N − P in the classical case. So noise that a network has fitted is counted; residuals that
    are exactly 0 whatever the parameters, as those of missing values by a factor 0, are not. Blocks whose
    weights do not say how noisy they are beside each other want ``pooled=False``: each has a variance of its
    own then, from :math:`\sum_h \lVert M_{gh} \rVert^2 \tau_h^2 = \lVert r_g \rVert^2`, if the residuals tell
    them apart.

    An equation is a constraint only as far as its weight makes it one. With a small weight the network trades
    residuals of the equation for fitted noise, and standard errors grow: raise the weight until they no
    longer change (100 times that of the data sufficed for an ODE), and use more points of the equation than
    the network can fit. The first order holds at a minimum: of a training that was stopped before, which has
    fitted less of the noise, standard errors may be too large or too small. Errors of the network itself are
    not in them.

    Args:
      loss: A :class:`LeastSquares` of squares, N residuals in all.
      params: A minimum θ̂ of the loss, P numbers in all; float64.
      select: A function that picks the chosen parameters, ``select(params)``; by default all of them.
      noisy: Names of the blocks that have noise; by default all blocks.
      noise_std: The standard deviation of the noise in the residuals of ``noisy``, before any weight: a
        number, or a number or one for each point by the name of the block; None to estimate it.
      pooled: Whether estimated noise has one variance in all scaled noisy residuals, or in each block's own.
      rcond: Singular values of G below this share of the largest are taken for zero; by default 10 min(N, P)
        roundings of the parameters' dtype, 100 at least.

    Returns:
      A :class:`Covariance`. Standard errors are infinite of parameters that the residuals do not determine,
      and of all where the noise is to be estimated and no residual is left to do it.

    Raises:
      TypeError: ``loss`` is no :class:`LeastSquares`, or one of its blocks has a loss that is no square;
        parameters of half precision.
      ValueError: ``select`` does more than pick parameters or picks none; names in ``noisy`` or
        ``noise_std`` that no block has; a ``noise_std`` of another shape; ``rcond`` below 0.

    Warns:
      UserWarning: The parameters are float32, and others than the chosen ones are free, or there are very
        many: what a network can only just reach is then lost in rounding.

    Examples:
      A line through four measurements:

      >>> import jax.numpy as jnp
      >>> from isgd_optax import LeastSquares, Residual, diagnostics
      >>> points = {"x": jnp.array([0.0, 1.0, 2.0, 3.0]), "y": jnp.array([0.1, 0.9, 2.1, 2.9])}
      >>> line = lambda p, point: p["slope"] * point["x"] + p["offset"] - point["y"]
      >>> loss = LeastSquares(Residual(line, points, name="data"))
      >>> fitted = {"offset": jnp.asarray(0.06), "slope": jnp.asarray(0.96)}
      >>> result = diagnostics.covariance(loss, fitted, noise_std=0.1)
      >>> round(float(result.standard_error["slope"]), 4)
      0.0447
      >>> low, high = result.intervals(0.95)
      >>> print(f"{low['slope']:.3f} to {high['slope']:.3f}")
      0.872 to 1.048

    References:
      Seber and Wild, Nonlinear Regression, 1989, sections 2.1 and 5.1. White, A heteroskedasticity-consistent
      covariance matrix estimator and a direct test for heteroskedasticity, Econometrica 48, 1980. Frisch and
      Waugh, Partial time regressions as compared with individual trends, Econometrica 1, 1933.
      Satterthwaite, An approximate distribution of estimates of variance components, 1946. Rao, Estimation of
      heteroscedastic variances in linear models, 1970.
    """
    if rcond is not None:
        check_at_least("rcond", rcond, 0)
    rows, residual, _ = compiled_rows(loss, params)
    for name, block in zip(loss.names, loss.blocks, strict=True):
        if block.loss is not None:
            raise TypeError(
                f"the block {name!r} has a loss that is no sum of squares, from which no variance of its "
                "residuals follows. Take squares there, or leave the block out of the loss."
            )
    blocks = noisy_blocks(loss, params, noisy)
    chosen, columns = _select(params, select)
    share = 10 * rounding(rows, params, "covariance")
    if share > 1e-6 and columns.size < rows.shape[1]:
        warnings.warn(
            "covariance needs float64: in less, what a network can only just reach is lost in rounding, and "
            "standard errors are wrong. Set jax_enable_x64 and cast parameters and points to float64.",
            stacklevel=2,
        )
    elif rcond is None and share > _COARSE:
        warnings.warn(
            f"covariance needs float64 for {rows.shape[1]} parameters: in float32 it cannot tell what "
            f"determines them less than {share:.0e} from what is rounding, and calls it infinite. Set "
            "jax_enable_x64 and cast parameters and points to float64, or give rcond.",
            stacklevel=2,
        )
    rcond = share if rcond is None else rcond
    spread = without_explicit_axes(_spread)
    given = (tuple(columns.tolist()), rcond, noise_std, pooled)
    matrix, std, freedom, left = spread(rows, residual, blocks, *given)
    error = _like(chosen, jnp.sqrt(jnp.diagonal(matrix)))
    freedom = freedom if freedom.ndim == 0 else _like(chosen, freedom)
    return Covariance(chosen, error, matrix, std, freedom, _like(chosen, left))


def _spread(
    rows: jax.Array,
    residual: jax.Array,
    blocks: Sequence[NoisyBlock],
    columns: tuple[int, ...],
    rcond: float,
    noise_std: NoiseStd | None,
    pooled: bool,
) -> tuple[jax.Array, dict[str, jax.Array], jax.Array, jax.Array]:
    """The covariance, the noise by block, the degrees of freedom (one or by parameter), the step left."""
    found = profile(rows, columns, rcond)
    if noise_std is None:
        noise = estimated_noise(blocks, residual, rows, found.hat_basis, pooled)
    else:
        noise = given_noise(blocks, noise_std, rows.dtype)
    matrix, freedom = propagated(found, np.concatenate([block.index for block in blocks]), noise)
    left = -jnp.matmul(found.response, residual, precision="highest")
    return matrix, noise.std, freedom[0] if noise.told.size == 1 else freedom, left


def _select(params: optax.Params, select: Callable[[Any], Tree] | None) -> tuple[Tree, np.ndarray]:
    """The chosen parameters and their positions in ``ravel_pytree(params)``.

    ``select`` is also given the positions themselves, as parameters. Two sets of them show whether it only
    picks: what is computed from parameters does not follow when all positions are moved.
    """
    pick: Callable[[Any], Tree] = select or (lambda tree: tree)
    leaves, structure = jax.tree.flatten(params)
    sizes = [math.prod(jnp.shape(leaf)) for leaf in leaves]
    ends = np.cumsum([0, *sizes])

    def positions(shift: int) -> np.ndarray:
        trees = [
            jnp.arange(end - size, end).reshape(jnp.shape(leaf)) + shift
            for leaf, size, end in zip(leaves, sizes, ends[1:], strict=True)
        ]
        picked = jax.tree.leaves(pick(jax.tree.unflatten(structure, trees)))
        return np.concatenate([np.zeros(0, int), *(np.asarray(leaf).reshape(-1) for leaf in picked)])

    with jax.ensure_compile_time_eval():
        found, moved = positions(0), positions(int(ends[-1]))
    if found.size == 0:
        raise ValueError("select picked no parameters: return the part of the parameters that is wanted.")
    if not np.array_equal(found + ends[-1], moved) or len(set(found)) != found.size:
        raise ValueError(
            "select must pick parameters, each once, and compute nothing from them: lambda p: p['unknowns']."
        )
    return pick(params), found


def _like(tree: Tree, flat: jax.Array) -> Tree:
    """``flat`` in the shapes of the leaves of ``tree``."""
    leaves, structure = jax.tree.flatten(tree)
    ends = np.cumsum([math.prod(jnp.shape(leaf)) for leaf in leaves])
    parts = jnp.split(flat, ends[:-1])
    shaped = [part.reshape(jnp.shape(leaf)) for part, leaf in zip(parts, leaves, strict=True)]
    return jax.tree.unflatten(structure, shaped)

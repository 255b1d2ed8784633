"""The metric D of the proximal term: the unit in which each parameter's step is measured."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer

from isgd_optax._norms import sum_dtype
from isgd_optax._proximal import Loss

_Measured = tuple[optax.Params, optax.Params | None]


class Metric(NamedTuple):
    """A rule for D.

    Attributes:
      init: ``init(params) -> state``.
      measure: ``measure(state, value_fn, params, grad) -> (state, D)``; D is a pytree like the parameters,
        or None for the identity.
    """

    init: Callable[[optax.Params], optax.Params]
    measure: Callable[[optax.Params, Loss, optax.Params, optax.Updates], _Measured]


def as_metric(metric: str | optax.Params) -> Metric:
    """``"identity"``, ``"jacobi"`` or a pytree of positive numbers as a rule.

    Raises:
      ValueError: Another name, or numbers that are not positive and finite.
    """
    if isinstance(metric, str):
        if metric not in _NAMED:
            raise ValueError(f"metric must be 'identity', 'jacobi' or a pytree like params, got {metric!r}.")
        return _NAMED[metric]
    for path, leaf in jax.tree_util.tree_leaves_with_path(metric):
        if not isinstance(leaf, Tracer) and not np.all((np.asarray(leaf) > 0) & np.isfinite(leaf)):
            raise ValueError(f"metric{jax.tree_util.keystr(path)} must be positive and finite, got {leaf}.")

    def measure(state: optax.Params, value_fn: Loss, params: optax.Params, grad: optax.Updates) -> _Measured:
        del value_fn, grad
        return state, given(params)

    def given(params: optax.Params) -> optax.Params:
        structures = jax.tree.structure(params), jax.tree.structure(metric)
        if structures[0] != structures[1]:
            raise ValueError(
                f"metric must have the structure of params, {structures[0]}, got {structures[1]}."
            )
        return jax.tree.map(_like, params, metric)

    def init(params: optax.Params) -> optax.Params:
        given(params)
        return ()

    return Metric(init, measure)


def _jacobi(state: optax.Params, value_fn: Loss, params: optax.Params, grad: optax.Updates) -> _Measured:
    # A loss of residuals knows diag(JᵀJ); of another, the squared gradient scales in the same way.
    diagonal_of = getattr(value_fn, "gauss_newton_diagonal", None)
    if diagonal_of is None:
        diagonal = jax.tree.map(lambda g, p: jnp.square(g.astype(_dtype(p))), grad, params)
    else:
        diagonal = diagonal_of(params)
    largest = jax.tree.map(
        lambda old, new: jnp.maximum(old, jnp.where(jnp.isfinite(new), new, 0).astype(old.dtype)),
        state,
        diagonal,
    )
    # A parameter that nothing depends on does not move, in any unit.
    return largest, jax.tree.map(lambda d: jnp.where(d > 0, d, 1), largest)


def _like(param: jax.Array, weight: jax.typing.ArrayLike) -> jax.Array:
    weight = jnp.asarray(weight, _dtype(param))
    if weight.shape not in ((), jnp.shape(param)):
        raise ValueError(
            f"each leaf of metric must be a number or of its parameter's shape, got {weight.shape} for "
            f"{jnp.shape(param)}."
        )
    return weight


def _dtype(leaf: Any) -> jnp.dtype:
    """float32 at least: squares of small numbers underflow in half precision."""
    # jnp.asarray knows numbers, but no placeholders such as jax.ShapeDtypeStruct.
    dtype = leaf.dtype if hasattr(leaf, "dtype") else jnp.asarray(leaf).dtype
    return sum_dtype(jax.dtypes.canonicalize_dtype(dtype))


_NAMED = {
    "identity": Metric(lambda params: (), lambda state, value_fn, params, grad: (state, None)),
    "jacobi": Metric(
        lambda params: jax.tree.map(lambda p: jnp.zeros_like(p, _dtype(p)), params),
        _jacobi,
    ),
}

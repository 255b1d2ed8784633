"""Parameters in half precision: their rounding is no small matter, and compilers leave it out."""

import jax
import jax.numpy as jnp
import optax

from isgd_optax._inner_solver import Evaluation
from isgd_optax._proximal import ProximalObjective
from isgd_optax._search import is_descent


def is_half(params: optax.Params) -> bool:
    """Whether a parameter has less precision than float32."""
    return any(jnp.finfo(leaf.dtype).bits < 32 for leaf in jax.tree.leaves(params))


def rounded(params: optax.Params) -> optax.Params:
    """``params``, of which those in half precision are rounded to it.

    Without that, compiled code that widens a sum of them again works on with the digits that it rounds away
    (``xla_allow_excess_precision``).
    """

    def leaf(p: jax.Array) -> jax.Array:
        info = jnp.finfo(p.dtype)
        if info.bits >= 32:
            return p
        return jax.lax.reduce_precision(p.astype(jnp.float32), info.nexp, info.nmant).astype(p.dtype)

    return jax.tree.map(leaf, params)


def falls_where_it_lands(
    objective: ProximalObjective, start: Evaluation, displacement: optax.Updates
) -> jax.Array:
    """Whether ``objective``, known at ``start``, falls at the sum of its parameters and ``displacement``.

    Only in half precision is that another point than the one that was found, and measured.
    """
    if not is_half(start.params):
        return jnp.ones((), bool)
    there = objective(rounded(optax.tree.add(start.params, displacement))).astype(start.value.dtype)
    return is_descent(start.value - there, start.value)

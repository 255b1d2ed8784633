"""Where a step lands: the rounded sum of parameters and update, which is another point than the one found."""

import jax
import jax.numpy as jnp
import optax

from isgd_optax._inner_solver import Evaluation
from isgd_optax._proximal import ProximalObjective

_APART = 1e-4  # of a parameter: more than its loss should feel; in half precision any difference is


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
        wide = p.astype(jnp.float32)
        narrow = jax.lax.reduce_precision(wide, info.nexp, info.nmant)
        if info.nexp < 8:  # its subnormal numbers are normal ones of float32, and would become zero
            smallest = float(info.smallest_subnormal)
            narrow = jnp.where(jnp.abs(wide) < info.tiny, jnp.round(wide / smallest) * smallest, narrow)
        return narrow.astype(p.dtype)

    return jax.tree.map(leaf, params)


def value_where_it_lands(
    objective: ProximalObjective, params: optax.Params, displacement: optax.Updates, found: Evaluation
) -> jax.Array:
    """``objective`` at the sum of ``params`` and ``displacement``, by which ``found`` was to be reached.

    It is evaluated there where a parameter lost its digits: of 1 and 1e-8 − 1 the sum is 0 in float32.
    """
    if all(jnp.finfo(leaf.dtype).bits > 32 for leaf in jax.tree.leaves(params)):
        return found.value  # none loses so many
    landed = rounded(optax.tree.add(params, displacement))
    is_apart = lambda p, q: jnp.any(jnp.abs(p - q) > _APART * jnp.abs(q))
    apart = jax.tree.leaves(jax.tree.map(is_apart, landed, found.params))
    there = lambda: objective(landed).astype(found.value.dtype)
    return jax.lax.cond(jnp.stack(apart).any(), there, lambda: found.value)

"""Corrections of a Gauss–Newton step for what its linear model leaves out: simplified Newton iterations."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from isgd_optax._sharding import varying_as

# The part of L that a correction must gain for another one to be made.
_WORTH = 0.01


class Step(NamedTuple):
    """A displacement d and what is known where it leads.

    Attributes:
      displacement: d in the unit of the metric, shape (P,).
      image: J d, shape (N,).
      params: The point p + d.
      outputs: The scaled residuals there, shape (N,).
      loss: L there.
    """

    displacement: jax.Array
    image: jax.Array
    params: optax.Params
    outputs: jax.Array
    loss: jax.Array


class _Carry(NamedTuple):
    step: Step
    count: jax.Array
    num_products: jax.Array
    go_on: jax.Array


def corrected(
    first: Step,
    refine: Callable[[Step], tuple[Step, jax.Array]],
    gain: Callable[[Step, Step], jax.Array],
    max_corrections: int,
) -> tuple[Step, jax.Array]:
    """The last of some corrections of a step that lowers the proximal objective.

    Args:
      first: The step of the linear model.
      refine: Gives the next step, and how many products with J and Jᵀ that took, in pairs.
      gain: The decrease of the proximal objective from one step to another, free of its rounding.
      max_corrections: The most corrections. They also end when they have made as many products, as those of
        an iterative solver soon have, or when one gains too little.

    Returns:
      The step, and the gradients' worth of work: the products, and a residual for each correction.
    """

    def body(carry: _Carry) -> _Carry:
        new, more = refine(carry.step)
        gained = gain(carry.step, new)
        return _Carry(
            step=optax.tree.where(gained > 0, new, carry.step),  # false where it is not finite
            count=carry.count + 1,
            num_products=carry.num_products + more,
            go_on=gained > _WORTH * jnp.abs(carry.step.loss),
        )

    def unfinished(carry: _Carry) -> jax.Array:
        return carry.go_on & (carry.count < max_corrections) & (carry.num_products < max_corrections)

    none, go_on = varying_as((jnp.zeros((), jnp.int32), jnp.ones((), bool)), first)
    carry = jax.lax.while_loop(unfinished, body, _Carry(first, none, none, go_on))
    return carry.step, carry.num_products + carry.count

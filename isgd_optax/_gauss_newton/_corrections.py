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
    linear: jax.Array
    predicted: jax.Array
    first_products: jax.Array
    num_products: jax.Array
    count: jax.Array
    go_on: jax.Array


def corrected(
    start: Step,
    refine: Callable[[Step, jax.Array, jax.Array], tuple[Step, jax.Array]],
    gain: Callable[[Step, Step], jax.Array],
    predict: Callable[[Step], jax.Array],
    max_corrections: int,
) -> tuple[Step, jax.Array, jax.Array]:
    """The step of the linear model, or the last of some corrections of it that lowers the proximal objective.

    Args:
      start: No step.
      refine: Gives the next step, from the last, the linear model's displacement and whether it is this that
        is asked for; and the products with J and Jᵀ that it took, in pairs. One program for both compiles
        faster than two.
      gain: The decrease of the proximal objective from one step to another, free of its rounding.
      predict: What the linear model says of its step.
      max_corrections: The most corrections. They also end when they have made as many products, as those of
        an iterative solver soon have, or when one gains too little.

    Returns:
      The step, what the linear model said of its own, and the gradients' worth of work: the products, and a
      residual for each correction.
    """

    def body(carry: _Carry) -> _Carry:
        first = carry.count == 0
        new, more = refine(carry.step, carry.linear, first)
        gained = gain(carry.step, new)  # false where it is not finite
        return _Carry(
            step=optax.tree.where(first | (gained > 0), new, carry.step),
            linear=jnp.where(first, new.displacement, carry.linear),
            predicted=jnp.where(first, predict(new), carry.predicted),
            first_products=jnp.where(first, more, carry.first_products),
            num_products=jnp.where(first, 0, carry.num_products + more),
            count=carry.count + 1,
            go_on=first | (gained > (_WORTH * jnp.abs(carry.step.loss)).astype(gained.dtype)),
        )

    def unfinished(carry: _Carry) -> jax.Array:
        first = carry.count == 0
        return first | (
            carry.go_on & (carry.count <= max_corrections) & (carry.num_products < max_corrections)
        )

    none, nothing = jnp.zeros((), jnp.int32), jnp.zeros((), start.displacement.dtype)
    carry = _Carry(start, start.displacement, nothing, none, none, none, jnp.ones((), bool))
    carry = varying_as(carry, start)
    carry = jax.lax.while_loop(unfinished, body, carry) if max_corrections else body(carry)
    return carry.step, carry.predicted, carry.first_products + carry.num_products + carry.count - 1

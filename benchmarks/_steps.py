"""Training steps outside of ``pinns.fit``, of whatever optimiser."""

import functools
from typing import Any

import jax
import optax

Carry = tuple[Any, Any]


def take_step(solver: Any, loss: Any, carry: Carry, *, stored: bool = False) -> tuple[Carry, Any]:
    """New parameters and state, and the loss before.

    Args:
      solver: An optax transformation, of implicit steps or not.
      loss: A function of the parameters.
      carry: Parameters and the solver's state.
      stored: Whether to take value and gradient from the state, where it has them.
    """
    params, state = carry
    if stored:
        value, grad = optax.value_and_grad_from_state(loss)(params, state=state)
    else:
        value, grad = jax.value_and_grad(loss)(params)
    update = optax.with_extra_args_support(solver).update
    updates, state = update(grad, state, params, value=value, grad=grad, value_fn=loss)
    return (optax.apply_updates(params, updates), state), value


def take_steps(
    solver: Any, loss: Any, carry: Carry, num_steps: int, *, stored: bool = False
) -> tuple[Carry, jax.Array]:
    """Parameters and state after ``num_steps``, and the loss before each."""
    body = functools.partial(take_step, solver, loss, stored=stored)
    return jax.lax.scan(lambda carry, _: body(carry), carry, length=num_steps)

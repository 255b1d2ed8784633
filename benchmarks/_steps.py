"""Training steps outside of ``pinns.fit``, of whatever optimiser."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import pinns

Carry = tuple[Any, Any]


def start(
    problem: pinns.Problem, hidden: Sequence[int], dtype: str = "float32", seed: int = 0
) -> tuple[nnx.Module, Any, Any]:
    """A network of one output, its loss on points of the problem, and its first parameters."""
    kind: Any = jnp.dtype(dtype)
    model = pinns.MLP(problem.domain.dim, hidden, 1, dtype=kind, rngs=nnx.Rngs(seed))
    points = problem.sample(pinns.data_key(jax.random.key(seed)), dtype=kind)
    return model, problem.loss(model, points), nnx.state(model, nnx.Param)


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

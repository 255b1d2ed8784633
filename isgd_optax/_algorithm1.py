"""The paper's Algorithm 1: implicit steps, then the inner solver by itself."""

import functools

import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from isgd_optax._checks import check_count
from isgd_optax._implicit_step import implicit_step
from isgd_optax._learning_rate import LearningRateController
from isgd_optax._proximal import Loss, select_kwargs
from isgd_optax._switch import switch_after


def isgd_adam(
    learning_rate: optax.ScalarOrSchedule | LearningRateController,
    *,
    num_implicit_steps: int,
    num_inner_steps: int,
    inner_learning_rate: optax.ScalarOrSchedule = 1e-3,
    outer_learning_rate: optax.ScalarOrSchedule = 1e-3,
    safeguard: bool = True,
    reset_inner: bool = True,
) -> optax.GradientTransformationExtraArgs:
    """The paper's "ISGD, Adam": implicit steps solved by Adam, then Adam.

    Each implicit step makes exactly ``num_inner_steps`` Adam steps, hence gradients; with
    ``safeguard=False`` this is Algorithm 1, of which the inner objective is written over α here,
    L + ‖θ − θₙ‖²/2α: Adam's ε, which it adds to the size of a gradient, counts α times as much.

    Args:
      learning_rate: The step size α of the implicit steps: a number, a schedule or a controller.
      num_implicit_steps: The number K0 of updates that are implicit steps.
      num_inner_steps: The number K1 of Adam steps within each of them.
      inner_learning_rate: The learning rate γ of the inner Adam; a schedule begins anew with each implicit
        step, unless ``reset_inner`` is False.
      outer_learning_rate: The learning rate η of Adam after the implicit phase.
      safeguard: Whether a step is refused that raises this objective, see :func:`implicit_step`.
      reset_inner: Whether the inner Adam starts afresh at every step, see :func:`implicit_step`.

    Returns:
      An ``optax.GradientTransformationExtraArgs``; ``update`` needs ``value_fn``.

    Raises:
      ValueError: A count is too small or α is not positive.

    Examples:
      >>> from isgd_optax import isgd_adam
      >>> solver = isgd_adam(0.5, num_implicit_steps=1000, num_inner_steps=100)

    References:
      Li, Chen and Huang, Implicit Stochastic Gradient Descent for Training Physics-informed Neural
      Networks, 2023, Algorithm 1.
    """
    num_implicit_steps = check_count("num_implicit_steps", num_implicit_steps, 0)
    num_inner_steps = check_count("num_inner_steps", num_inner_steps, 1)
    implicit = implicit_step(
        optax.adam(inner_learning_rate),
        learning_rate,
        max_inner_steps=num_inner_steps,
        rtol=0.0,
        safeguard=safeguard,
        reset_inner=reset_inner,
    )
    return switch_after(num_implicit_steps, implicit, optax.adam(outer_learning_rate))


def isgd_lbfgs(
    learning_rate: optax.ScalarOrSchedule | LearningRateController,
    *,
    num_implicit_steps: int,
    num_inner_steps: int,
    memory_size: int = 10,
    rtol: ArrayLike = 1e-3,
    safeguard: bool = True,
) -> optax.GradientTransformationExtraArgs:
    """The paper's "ISGD, L-BFGS": implicit steps solved by L-BFGS, then L-BFGS with line search.

    Args:
      learning_rate: The step size α of the implicit steps: a number, a schedule or a controller.
      num_implicit_steps: The number K0 of updates that are implicit steps.
      num_inner_steps: The most L-BFGS steps within each of them, K1.
      memory_size: The number of curvature pairs that L-BFGS keeps, in both phases.
      rtol: The relative tolerance that ends the inner iteration; 0 makes exactly K1 steps.
      safeguard: Whether a step is refused that raises L + ‖θ − θₙ‖²/2α, see :func:`implicit_step`.

    Returns:
      An ``optax.GradientTransformationExtraArgs``; ``update`` needs ``value_fn``. Without ``value`` the
      loss is evaluated, without ``grad`` the incoming updates are taken for it.

    Raises:
      ValueError: A count is too small or α is not positive.

    Examples:
      >>> from isgd_optax import isgd_lbfgs
      >>> solver = isgd_lbfgs(0.5, num_implicit_steps=100, num_inner_steps=50)

    References:
      Li, Chen and Huang, Implicit Stochastic Gradient Descent for Training Physics-informed Neural
      Networks, 2023, Section 2.4.
    """
    num_implicit_steps = check_count("num_implicit_steps", num_implicit_steps, 0)
    num_inner_steps = check_count("num_inner_steps", num_inner_steps, 1)
    implicit = implicit_step(
        optax.lbfgs(memory_size=memory_size),
        learning_rate,
        max_inner_steps=num_inner_steps,
        rtol=rtol,
        safeguard=safeguard,
    )
    return switch_after(
        num_implicit_steps, implicit, _close_over_extras(optax.lbfgs(memory_size=memory_size))
    )


def _close_over_extras(
    solver: optax.GradientTransformationExtraArgs,
) -> optax.GradientTransformationExtraArgs:
    """``solver`` with a closed ``value_fn``: optax line searches refuse arguments that it does not name."""

    def update_fn(
        updates: optax.Updates,
        state: optax.OptState,
        params: optax.Params | None = None,
        *,
        value: ArrayLike | None = None,
        grad: optax.Updates | None = None,
        value_fn: Loss | None = None,
        **extra_args: object,
    ) -> tuple[optax.Updates, optax.OptState]:
        if params is None or value_fn is None:
            raise ValueError(
                "isgd_lbfgs needs params and value_fn: update(grad, state, params, value_fn=loss)."
            )
        closed = functools.partial(value_fn, **select_kwargs(value_fn, extra_args))
        value = jnp.asarray(closed(params) if value is None else value)
        grad = updates if grad is None else grad
        return solver.update(updates, state, params, value=value, grad=grad, value_fn=lambda p: closed(p))

    return optax.GradientTransformationExtraArgs(solver.init, update_fn)

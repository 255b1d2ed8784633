"""Two optimisers one after the other, and the paper's Algorithm 1 built from them."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from isgd_optax._checks import check_at_least, check_transformation
from isgd_optax._implicit_step import implicit_step
from isgd_optax._learning_rate import LearningRateController
from isgd_optax._proximal import select_kwargs
from isgd_optax._pytree import own


class SwitchState(NamedTuple):
    """State of :func:`switch_after`.

    Attributes:
      count: steps taken, int32.
      first: state of the first transformation; at the switch it is initialised anew too, so that
        nobody takes a value or gradient stored in it for a current one.
      second: state of the second one, initialised anew at the switch.
    """

    count: jax.Array
    first: optax.OptState
    second: optax.OptState


def switch_after(
    num_steps: int, first: optax.GradientTransformation, second: optax.GradientTransformation
) -> optax.GradientTransformationExtraArgs:
    """``first`` for ``num_steps`` updates, then ``second``, started afresh at the parameters reached.

    Both states are held throughout, so memory is their sum. Every extra argument reaches both.

    Args:
      num_steps: updates made with ``first``, ≥ 0 (the paper's K0).
      first: the transformation of the first phase.
      second: the transformation from then on.

    Returns:
      An ``optax.GradientTransformationExtraArgs`` with :class:`SwitchState`.

    Raises:
      ValueError: ``num_steps`` < 0.
      TypeError: ``first`` or ``second`` is no transformation.

    Examples:
      >>> import jax.numpy as jnp, optax
      >>> from isgd_optax import switch_after
      >>> solver = switch_after(1, optax.sgd(1.0), optax.sgd(0.1))
      >>> state = solver.init(jnp.ones(1))
      >>> for _ in range(2):
      ...     updates, state = solver.update(jnp.ones(1), state)
      ...     print(updates)
      [-1.]
      [-0.1]

    References:
      Li, Chen and Huang, Implicit Stochastic Gradient Descent for Training Physics-informed Neural
      Networks, 2023, Algorithm 1.
    """
    check_at_least("num_steps", num_steps, 0)
    check_transformation("first", first)
    check_transformation("second", second)
    first = optax.with_extra_args_support(first)
    second = optax.with_extra_args_support(second)

    def init_fn(params: optax.Params) -> SwitchState:
        return SwitchState(jnp.zeros((), jnp.int32), own(first.init(params)), own(second.init(params)))

    def update_fn(
        updates: optax.Updates, state: Any, params: optax.Params | None = None, **extra_args: Any
    ) -> tuple[optax.Updates, SwitchState]:
        def run_first():
            new_updates, first_state = first.update(updates, state.first, params, **extra_args)
            return cast(new_updates), optax.tree.cast_like(first_state, state.first), state.second

        def run_second():
            first_state, second_state = state.first, state.second
            if params is not None:
                both = (first_state, second_state)
                fresh = optax.tree.cast_like((first.init(params), second.init(params)), both)
                first_state, second_state = optax.tree.where(state.count == num_steps, fresh, both)
            new_updates, second_state = second.update(updates, second_state, params, **extra_args)
            return cast(new_updates), first_state, optax.tree.cast_like(second_state, state.second)

        def cast(tree: optax.Updates) -> optax.Updates:
            return optax.tree.cast_like(tree, updates if params is None else params)

        new_updates, first_state, second_state = jax.lax.cond(state.count < num_steps, run_first, run_second)
        return new_updates, SwitchState(
            jnp.asarray(optax.safe_increment(state.count)), first_state, second_state
        )

    return optax.GradientTransformationExtraArgs(init_fn, update_fn)


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
    ``safeguard=False`` this is Algorithm 1 to the letter.

    Args:
      learning_rate: α of the implicit steps.
      num_implicit_steps: K0, updates made with implicit steps.
      num_inner_steps: K1, Adam steps within each of them.
      inner_learning_rate: γ, learning rate of the inner Adam.
      outer_learning_rate: η, learning rate of Adam after the implicit phase.
      safeguard: see :func:`implicit_step`.
      reset_inner: see :func:`implicit_step`.

    Returns:
      An ``optax.GradientTransformationExtraArgs``; ``update`` needs ``value_fn``.

    Raises:
      ValueError: a count is too small or α is not positive.

    Examples:
      >>> from isgd_optax import isgd_adam
      >>> solver = isgd_adam(0.5, num_implicit_steps=1000, num_inner_steps=100)

    References:
      Li, Chen and Huang, Implicit Stochastic Gradient Descent for Training Physics-informed Neural
      Networks, 2023, Algorithm 1.
    """
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
      learning_rate: α of the implicit steps.
      num_implicit_steps: K0, updates made with implicit steps.
      num_inner_steps: K1, most L-BFGS steps within each of them.
      memory_size: curvature pairs kept, in both phases.
      rtol: relative tolerance that ends the inner iteration; 0 makes exactly K1 steps.
      safeguard: see :func:`implicit_step`.

    Returns:
      An ``optax.GradientTransformationExtraArgs``; ``update`` needs ``value``, ``grad`` and
      ``value_fn``, as ``optax.lbfgs`` does.

    Raises:
      ValueError: a count is too small or α is not positive.

    Examples:
      >>> from isgd_optax import isgd_lbfgs
      >>> solver = isgd_lbfgs(0.5, num_implicit_steps=100, num_inner_steps=50)

    References:
      Li, Chen and Huang, Implicit Stochastic Gradient Descent for Training Physics-informed Neural
      Networks, 2023, Section 2.4.
    """
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
        updates: Any,
        state: Any,
        params: Any = None,
        *,
        value: Any = None,
        grad: Any = None,
        value_fn: Any = None,
        **extra_args: Any,
    ) -> Any:
        closed = functools.partial(value_fn, **select_kwargs(value_fn, extra_args))
        return solver.update(updates, state, params, value=value, grad=grad, value_fn=lambda p: closed(p))

    return optax.GradientTransformationExtraArgs(solver.init, update_fn)

"""Two optimisers one after the other."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from isgd_optax._checks import check_count, check_transformation
from isgd_optax._sharding import varying_as
from isgd_optax._tree import own


class SwitchState(NamedTuple):
    """State of :func:`switch_after`.

    Attributes:
      count: The number of steps taken, int32.
      first: The state of the first transformation; at the switch it is initialised anew too, so that
        nobody takes a value or gradient stored in it for a current one.
      second: The state of the second one, initialised anew at the switch.
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
      num_steps: The number of updates made with ``first``, at least 0 (the paper's K0).
      first: The transformation of the first phase.
      second: The transformation from then on.

    Returns:
      An ``optax.GradientTransformationExtraArgs`` with :class:`SwitchState`.

    Raises:
      ValueError: ``num_steps`` is no whole number ≥ 0.
      TypeError: ``first`` or ``second`` is no transformation, or (in ``update``) the state is another one.

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
    num_steps = check_count("num_steps", num_steps, 0)
    check_transformation("first", first)
    check_transformation("second", second)
    first = optax.with_extra_args_support(first)
    second = optax.with_extra_args_support(second)

    def init_fn(params: optax.Params) -> SwitchState:
        state = SwitchState(jnp.zeros((), jnp.int32), own(first.init(params)), own(second.init(params)))
        return varying_as(state, params)

    def update_fn(
        updates: optax.Updates, state: Any, params: optax.Params | None = None, **extra_args: object
    ) -> tuple[optax.Updates, SwitchState]:
        if not isinstance(state, SwitchState):
            raise TypeError(
                f"the state is a {type(state).__name__}, not one of switch_after: begin with "
                "solver.init(params), and restore a stored state into what that returns."
            )

        def run_first():
            new_updates, first_state = first.update(updates, state.first, params, **extra_args)
            return alike((cast(new_updates), _cast(first_state, state.first), state.second))

        def run_second():
            first_state, second_state = state.first, state.second
            if params is not None:
                both = (first_state, second_state)
                fresh = _cast((first.init(params), second.init(params)), both)
                first_state, second_state = optax.tree.where(state.count == num_steps, fresh, both)
            new_updates, second_state = second.update(updates, second_state, params, **extra_args)
            return alike((cast(new_updates), first_state, _cast(second_state, state.second)))

        def alike(result: tuple) -> tuple:
            """The types of both must be the same."""
            return varying_as(result, updates, state, params)

        def cast(tree: optax.Updates) -> optax.Updates:
            return _cast(tree, updates if params is None else params)

        new_updates, first_state, second_state = jax.lax.cond(state.count < num_steps, run_first, run_second)
        return new_updates, SwitchState(
            jnp.asarray(optax.safe_increment(state.count)), first_state, second_state
        )

    return optax.GradientTransformationExtraArgs(init_fn, update_fn)


def _cast(tree: optax.OptState, like: optax.OptState) -> optax.OptState:
    """``tree`` in the dtypes of ``like``; random keys stay, and Python numbers become arrays."""

    def cast(leaf: Any, other: Any) -> Any:
        dtype = getattr(other, "dtype", None)
        of_numbers = dtype is not None and not jnp.issubdtype(dtype, jax.dtypes.extended)
        return jnp.asarray(leaf, dtype) if of_numbers else leaf

    return jax.tree.map(cast, tree, like)

"""The state of an implicit step, and what it tells of the last one."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from isgd_optax._learning_rate import StepOutcome
from isgd_optax._momentum import Momentum
from isgd_optax._rates import usable_bounds


class ImplicitStepInfo(NamedTuple):
    """What the last implicit step did.

    Attributes:
      num_inner_steps: Inner steps taken, int32.
      residual: ‖(p − c) + αD⁻¹∇L(p)‖_D / ‖p − c‖_D at the inner solver's point p, accepted or not: how
        far the implicit equation is from solved. Infinite if p = c does not solve it.
      accepted: Whether the step was taken; if not, the update is zero.
      learning_rate: The α that was used. Where one Gauss–Newton step failed at the α that was asked for, a
        smaller one; where nothing was left to gain, the one that was asked for.
      at_bound: Whether α stands at a bound of its controller, which may be what holds the step back: raise
        ``max_learning_rate``, or choose a ``metric`` that suits the parameters.
      at_floor: Whether nothing is left to gain in this precision: what the step promises, or the step
        itself, is lost in rounding errors, in this ``metric``. It stays true until a step gains something or
        the loss changes. Controllers then return to the last α that was of use.
    """

    num_inner_steps: jax.Array
    residual: jax.Array
    accepted: jax.Array
    learning_rate: jax.Array
    at_bound: jax.Array
    at_floor: jax.Array

    @classmethod
    def initial(cls, dtype: jnp.dtype) -> "ImplicitStepInfo":
        """Before the first step; each field has a buffer of its own, since the state may be donated."""
        return cls(
            num_inner_steps=jnp.zeros((), jnp.int32),
            residual=jnp.full((), jnp.inf, dtype),
            accepted=jnp.zeros((), bool),
            learning_rate=jnp.zeros((), dtype),
            at_bound=jnp.zeros((), bool),
            at_floor=jnp.zeros((), bool),
        )

    @classmethod
    def of(
        cls, outcome: StepOutcome, asked_for: jax.Array, bounds: tuple[float, float]
    ) -> "ImplicitStepInfo":
        """After a step at the α ``asked_for``, which the controller keeps within ``bounds``."""
        rate = jnp.where(outcome.at_floor, asked_for, outcome.learning_rate)
        lower, upper = usable_bounds(bounds, rate.dtype)
        return cls(
            num_inner_steps=outcome.num_inner_steps,
            residual=outcome.residual,
            accepted=outcome.accepted,
            learning_rate=rate,
            at_bound=(rate <= lower) | (rate >= upper),
            at_floor=jnp.asarray(outcome.at_floor),
        )


class ImplicitStepState(NamedTuple):
    """State of :func:`implicit_step`.

    Attributes:
      count: Steps taken, int32.
      info: What the last step did.
      num_gradients: Gradients of L evaluated in the last step, int32; the incoming one is not counted unless
        it belonged to other parameters or data and was evaluated anew.
      controller_state: State of the controller of α.
      inner_state: With ``reset_inner=False`` the state of the inner solver, else (). Its named
        tuples are plain ones here, so that ``optax.value_and_grad_from_state`` cannot mistake a
        proximal value for the loss.
      stored: With ``store_grad=True`` the loss at the new parameters and its gradient, else ().
      velocity: With ``momentum`` the parameters before the last step and the loss there, else ().
      metric_state: State of a metric that is measured, else ().
      floor: The loss at which nothing was left to gain, 0 where ``info.at_floor`` is false.
    """

    count: jax.Array
    info: ImplicitStepInfo
    num_gradients: jax.Array
    controller_state: optax.OptState
    inner_state: optax.OptState
    stored: optax.OptState
    velocity: Momentum | tuple[()] = ()
    metric_state: optax.Params = ()
    floor: ArrayLike = 0.0


def step_info(opt_state: optax.OptState) -> ImplicitStepInfo | None:
    """What the last implicit step did, wherever :func:`implicit_step` stands in an optimiser.

    Args:
      opt_state: The state of an optimiser: a chain, a wrapper, or :func:`implicit_step` itself.

    Returns:
      Its :class:`ImplicitStepInfo`, or None if there is no implicit step; after :func:`switch_after` has
      gone over to its second optimiser, that of no step (a residual of infinity).

    Raises:
      ValueError: There are several implicit steps.

    Examples:
      >>> import jax.numpy as jnp, optax
      >>> from isgd_optax import implicit_step, step_info
      >>> solver = optax.chain(implicit_step(optax.adam(0.1), 1.0), optax.clip_by_global_norm(1.0))
      >>> print(step_info(solver.init(jnp.ones(2))).num_inner_steps)
      0
      >>> step_info(optax.adam(0.1).init(jnp.ones(2))) is None
      True
    """
    is_state = lambda node: isinstance(node, ImplicitStepState)
    found = [node for node in jax.tree.leaves(opt_state, is_leaf=is_state) if is_state(node)]
    if len(found) > 1:
        raise ValueError(
            f"the state holds {len(found)} implicit steps; pick one, e.g. by optax.tree.get_all_with_path."
        )
    return found[0].info if found else None

"""Learning rates of the implicit step: constant, scheduled, or controlled by its outcome."""

import inspect
import math
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer
from jax.typing import ArrayLike

from isgd_optax._inner_solver import Search

State = TypeVar("State")


class StepOutcome(NamedTuple):
    """What one implicit step tells a controller.

    Attributes:
      learning_rate: The α that was used.
      accepted: Whether the parameters moved to the inner solver's point.
      value_before: The loss L(θₙ) at the start.
      value_after: The loss at the inner solver's point, accepted or not.
      predicted_decrease: The prediction of L(θₙ) − L(p), by the trapezoidal rule
        ½⟨∇L(θₙ) + ∇L(p), θₙ − p⟩ with ∇L(p) = D(c − p)/α: exact for a quadratic L and a solved
        implicit equation, hence the decrease of the linear model for one Gauss–Newton step without
        corrections.
      residual: The relative residual ‖(p − c) + αD⁻¹∇L(p)‖_D / ‖p − c‖_D at the inner solver's point p.
      num_inner_steps: The number of inner steps taken.
      at_floor: Whether nothing was left to gain: the step is lost in rounding errors, or an earlier one was
        and this one gains nothing either.
      too_small: Whether the step is lost in rounding errors because α is small: it goes as far along the
        gradient as an explicit step, and a larger α would gain.
      finite: Whether the loss and its gradient are numbers at a point that the inner solver reached.
    """

    learning_rate: jax.Array
    accepted: jax.Array
    value_before: jax.Array
    value_after: jax.Array
    predicted_decrease: jax.Array
    residual: jax.Array
    num_inner_steps: jax.Array
    at_floor: ArrayLike = False
    too_small: ArrayLike = False
    finite: ArrayLike = True


class LearningRateController(NamedTuple, Generic[State]):
    """Chooses α before a step and learns from the step's outcome.

    Pure functions, called inside ``jit``. A controller is a named tuple
    and not callable itself, so that ``optax.inject_hyperparams`` leaves it alone.

    Attributes:
      init: ``init() -> state``, a pytree of arrays.
      propose: ``propose(state, count, value, grad_norm) -> α`` for step number
        ``count`` from a point with loss ``value`` and gradient norm ``grad_norm``.
      update: ``update(state, outcome) -> state`` with a :class:`StepOutcome`.
      search: ``search(α, trial, start) -> proposal``: the choice of α among several, from one preparation of
        the inner solver: ``trial(α)`` is the :class:`Proposal` of one inner step, with its decrease of the
        proximal objective and the one predicted; ``start`` the :class:`Evaluation` at θₙ. None takes the α
        proposed.
      bounds: The smallest and the largest α that it takes; ``info.at_bound`` says when α stands at one.

    Examples:
      A controller that halves α after every rejected step:

      >>> import jax.numpy as jnp
      >>> from isgd_optax import LearningRateController
      >>> halving = LearningRateController(
      ...     init=lambda: jnp.asarray(10.0),
      ...     propose=lambda state, count, value, grad_norm: state,
      ...     update=lambda state, outcome: jnp.where(outcome.accepted, state, state / 2),
      ... )
    """

    init: Callable[[], State]
    propose: Callable[[State, jax.Array, jax.Array, jax.Array], jax.Array]
    update: Callable[[State, StepOutcome], State]
    search: Search | None = None
    bounds: tuple[float, float] = (0.0, math.inf)


def constant(learning_rate: ArrayLike) -> LearningRateController:
    """The same α at every step.

    Raises:
      ValueError: α is known now and not positive and finite.
    """
    if not isinstance(learning_rate, Tracer):
        number = np.asarray(learning_rate).item()
        if not (math.isfinite(number) and number > 0):
            raise ValueError(
                f"learning_rate must be positive and finite, got {number}. It is the step size α of "
                "the implicit step θₙ₊₁ = θₙ − α∇L(θₙ₊₁), which is stable at any α > 0."
            )
    return scheduled(lambda count: learning_rate)


def scheduled(schedule: optax.Schedule) -> LearningRateController:
    """α = schedule(number of steps taken), an optax schedule."""

    def propose(state: Any, count: jax.Array, value: jax.Array, grad_norm: jax.Array) -> jax.Array:
        rate = schedule(count)
        if jnp.ndim(rate) != 0:
            raise TypeError(f"a schedule must return one number, got an array of shape {jnp.shape(rate)}.")
        return jnp.asarray(rate)

    return LearningRateController(
        init=lambda: (),
        propose=propose,
        update=lambda state, outcome: state,
    )


def as_controller(
    learning_rate: optax.ScalarOrSchedule | LearningRateController,
) -> LearningRateController:
    """A number, an optax schedule or a controller, as a controller."""
    if isinstance(learning_rate, LearningRateController):
        return learning_rate
    if callable(learning_rate):
        _check_schedule(learning_rate)
        return scheduled(learning_rate)
    is_number = isinstance(learning_rate, (int, float, np.ndarray, np.generic, jax.Array))
    if not is_number or isinstance(learning_rate, bool) or jnp.ndim(learning_rate) != 0:
        raise TypeError(
            "learning_rate must be a number, an optax schedule or a LearningRateController, "
            f"got {learning_rate!r}."
        )
    return constant(learning_rate)


def _check_schedule(schedule: optax.Schedule) -> None:
    """Raises TypeError for a function that makes controllers, such as ``largest_trusted``."""
    try:
        returned = str(inspect.signature(schedule).return_annotation)
    except (TypeError, ValueError):  # a callable without signature
        return
    if LearningRateController.__name__ in returned:
        name = getattr(schedule, "__name__", "it")
        raise TypeError(f"{name} makes a controller of the learning rate: write {name}().")

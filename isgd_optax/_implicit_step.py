"""The implicit (backward Euler, proximal point) step as an optax transformation."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from isgd_optax._candidates import largest_trusted_step
from isgd_optax._checks import (
    check_at_least,
    check_in_unit_interval,
    check_loss,
    check_params,
    check_transformation,
)
from isgd_optax._gauss_newton import GaussNewton
from isgd_optax._inner_loop import Options, minimize
from isgd_optax._learning_rate import LearningRateController, StepOutcome, as_controller
from isgd_optax._proximal import ProximalObjective, norm, scalar_dtype, select_kwargs
from isgd_optax._pytree import own, without_names
from isgd_optax._reverse_mode import forbid_reverse_mode


class ImplicitStepInfo(NamedTuple):
    """What the last implicit step did.

    Attributes:
      num_inner_steps: inner steps taken, int32.
      residual: ‖(p − c) + α∇L(p)‖ / ‖p − c‖ at the inner solver's point p, accepted or not: how
        far the implicit equation is from solved. Infinite if p = c does not solve it.
      accepted: whether the step was taken; if not, the update is zero.
      learning_rate: the α that was used. Where one Gauss–Newton step failed at the α that was asked for, a
        smaller one.
    """

    num_inner_steps: jax.Array
    residual: jax.Array
    accepted: jax.Array
    learning_rate: jax.Array


class StoredEvaluation(NamedTuple):
    """The loss and its gradient at the parameters, where ``optax.value_and_grad_from_state`` finds them."""

    value: jax.Array
    grad: Any


class ImplicitStepState(NamedTuple):
    """State of :func:`implicit_step`.

    Attributes:
      count: steps taken, int32.
      info: what the last step did.
      num_gradients: gradients of L evaluated in the last step, int32; the incoming one is not counted.
      controller_state: state of the controller of α.
      inner_state: with ``reset_inner=False`` the state of the inner solver, else (). Its named
        tuples are plain ones here, so that ``optax.value_and_grad_from_state`` cannot mistake a
        proximal value for the loss.
      stored: with ``store_grad=True`` the loss at the new parameters and its gradient, else ().
      velocity: with ``momentum`` the last displacement, else ().
    """

    count: jax.Array
    info: ImplicitStepInfo
    num_gradients: jax.Array
    controller_state: Any
    inner_state: Any
    stored: Any
    velocity: Any = ()


def implicit_step(
    inner: optax.GradientTransformation,
    learning_rate: optax.ScalarOrSchedule | LearningRateController,
    *,
    max_inner_steps: int = 100,
    rtol: ArrayLike = 1e-3,
    atol: ArrayLike = 0.0,
    safeguard: bool = True,
    reset_inner: bool = True,
    store_grad: bool = False,
    momentum: ArrayLike | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""Implicit stochastic gradient descent: backward Euler on the gradient flow.

    .. math::
      \theta_{n+1} = \theta_n - \alpha \nabla L(\theta_{n+1})
      = \arg\min_p \; L(p) + \frac{\lVert p - \theta_n \rVert^2}{2 \alpha}

    The proximal problem is minimised by ``inner`` inside one ``jax.lax.while_loop``, started at
    :math:`p = \theta_n` with the incoming gradient, until

    .. math::
      \lVert (p - \theta_n) + \alpha \nabla L(p) \rVert
      \le \mathrm{rtol} \, \lVert p - \theta_n \rVert + \mathrm{atol}

    or for ``max_inner_steps``. The update is :math:`\theta_{n+1} - \theta_n`, sign and size
    included: apply it as it is.

    Call ``update`` under ``jax.jit``: outside, each call compiles the loop anew. Put this first in
    a chain; what comes before it changes only the first inner gradient, not the equation that is
    solved (put weight decay or a penalty into ``value_fn``). Inside ``optax.MultiSteps`` every
    mini-step pays for a whole solve; accumulate inside ``value_fn`` instead. For stochastic use,
    draw one mini-batch per call and let ``value_fn`` see the same batch in the whole inner loop.

    ``update(updates, state, params, *, value_fn, value=None, grad=None, **extra_args)`` takes

    * ``updates``: the gradient of the loss at ``params``;
    * ``value_fn``: the loss L, ``value_fn(params, **named) -> scalar``; of ``extra_args`` it gets
      those that its signature names, the others are ignored;
    * ``value``: L(params), to save its evaluation;
    * ``grad``: the gradient, if an earlier transformation has changed ``updates``.

    Args:
      inner: the solver of the proximal problem, any optax transformation: ``optax.sgd``,
        ``optax.adam``, ``optax.lbfgs``, chains. To freeze parameters, put ``optax.partition``
        here, not around; the gradient of frozen ones stays in the residual, so that ``rtol`` hardly
        ever ends the loop then. A line search must come last in it.
      learning_rate: α > 0: a number, an optax schedule or a :class:`LearningRateController`.
      max_inner_steps: most inner steps per step (the paper's K1).
      rtol: relative tolerance of the implicit equation, in [0, 1) to be of use. With
        ``rtol=0, atol=0`` exactly ``max_inner_steps`` are made (fewer only if an iterate is not
        finite).
      atol: absolute tolerance, in units of the parameters.
      safeguard: return the inner iterate with the lowest proximal value, and only if it satisfies
        L(θₙ₊₁) + ‖θₙ₊₁ − c‖²/(2α) ≤ L(θₙ) + ‖θₙ − c‖²/(2α) up to rounding, with c = θₙ unless there is
        ``momentum``, under which L itself may rise; else the update is zero. False returns the
        last iterate (Algorithm 1 to the letter). A non-finite iterate is never returned.
      reset_inner: start ``inner`` afresh at every step. False carries its state over; curvature
        pairs of L-BFGS then mix two objectives.
      store_grad: keep L and ∇L at the new parameters for ``optax.value_and_grad_from_state``.
        Right only if the next step uses the same data, and if this is last in its chain.
      momentum: μ in [0, 1): take :math:`c = \theta_n + \mu (\theta_n - \theta_{n-1})` as the centre of
        the proximal term instead of :math:`\theta_n` (with :func:`gauss_newton` the SPRING method). It
        carries over what earlier mini-batches have taught; of use where the points are resampled.

    Returns:
      An ``optax.GradientTransformationExtraArgs`` with :class:`ImplicitStepState`; scalars in it
      are float32, or float64 if a parameter is.

    Raises:
      ValueError: α ≤ 0 or not finite, ``max_inner_steps`` < 1, a negative tolerance, a momentum out of
        [0, 1); ``value_fn`` or ``params`` missing.
      TypeError: ``inner`` is no transformation; parameters are integer, complex or masked;
        ``value_fn`` returns no real scalar; reverse-mode differentiation.

    Examples:
      A loss whose curvatures differ by 1e8, at a step size 1e4 times beyond the reach of gradient
      descent:

      >>> import jax, optax, jax.numpy as jnp
      >>> from isgd_optax import implicit_step
      >>> def loss(p):
      ...     return 0.5 * (1e-4 * p[0] ** 2 + 1e4 * p[1] ** 2)
      >>> solver = implicit_step(optax.lbfgs(), learning_rate=1.0, rtol=1e-4)
      >>> params = jnp.array([1.0, 1.0])
      >>> state = solver.init(params)
      >>> @jax.jit
      ... def step(params, state):
      ...     value, grad = jax.value_and_grad(loss)(params)
      ...     updates, state = solver.update(grad, state, params, value=value, value_fn=loss)
      ...     return optax.apply_updates(params, updates), state
      >>> params, state = step(params, state)
      >>> bool(abs(params[1]) < 1e-3), bool(state.info.accepted)
      (True, True)

    References:
      Li, Chen and Huang, Implicit Stochastic Gradient Descent for Training Physics-informed Neural
      Networks, 2023, Eqs. 4 and 12, Algorithm 1. Rockafellar, Monotone operators and the proximal
      point algorithm, 1976. The stopping test: Solodov and Svaiter, A hybrid approximate
      extragradient–proximal point algorithm, 1999. The shifted centre: Lin, Mairal and Harchaoui,
      Catalyst acceleration for first-order convex optimization, 2018; Goldshlager, Abrahamsen and Lin, A
      Kaczmarz-inspired approach to accelerate the optimization of neural network wavefunctions, 2024.
    """
    check_transformation("inner", inner)
    check_at_least("max_inner_steps", max_inner_steps, 1)
    check_at_least("rtol", rtol, 0)
    check_at_least("atol", atol, 0)
    if momentum is not None:
        check_in_unit_interval("momentum", momentum)
    controller = as_controller(learning_rate)
    inner = optax.with_extra_args_support(inner)
    options = Options(max_inner_steps, rtol, atol, safeguard, keep_grad=store_grad)

    def init_fn(params: Any) -> Any:
        check_params(params)
        dtype = scalar_dtype(params)
        # Distinct buffers: the state may be donated.
        info = ImplicitStepInfo(
            num_inner_steps=jnp.zeros((), jnp.int32),
            residual=jnp.full((), jnp.inf, dtype),
            accepted=jnp.zeros((), bool),
            learning_rate=jnp.zeros((), dtype),
        )
        return ImplicitStepState(
            count=jnp.zeros((), jnp.int32),
            info=info,
            num_gradients=jnp.zeros((), jnp.int32),
            controller_state=own(controller.init()),
            inner_state=() if reset_inner else own(without_names(inner.init(params))),
            stored=StoredEvaluation(jnp.full((), jnp.inf, dtype), optax.tree.zeros_like(params))
            if store_grad
            else (),
            velocity=() if momentum is None else optax.tree.zeros_like(params),
        )

    def update_fn(
        updates: Any,
        state: Any,
        params: Any = None,
        *,
        value_fn: Callable[..., Any] | None = None,
        value: ArrayLike | None = None,
        grad: Any = None,
        **extra_args: Any,
    ) -> Any:
        if params is None:
            raise ValueError("implicit_step needs params: call update(grad, state, params, value_fn=loss).")
        if value_fn is None:
            raise ValueError(
                "implicit_step needs value_fn, the loss as a function of the parameters: call "
                "update(grad, state, params, value_fn=loss)."
            )
        check_params(params)
        params = jax.tree.map(jnp.asarray, params)
        named = select_kwargs(value_fn, extra_args)
        loss_fn = functools.partial(value_fn, **named) if named else value_fn
        loss_shape = jax.eval_shape(loss_fn, params)
        check_loss(loss_shape)

        dtype = scalar_dtype(params)
        loss = jnp.asarray(loss_fn(params) if value is None else value).astype(loss_shape.dtype)
        loss_grad = optax.tree.cast_like(updates if grad is None else grad, params)
        alpha = controller.propose(state.controller_state, state.count, loss, norm(loss_grad))
        alpha = jnp.asarray(alpha).astype(dtype)
        center = params
        if momentum is not None:
            center = optax.tree.cast_like(optax.tree.add_scale(params, momentum, state.velocity), params)
        trial = None
        if isinstance(inner, GaussNewton) and len(controller.factors) > 1:
            steps = inner.linearize(loss_fn, params, center)
            trial = largest_trusted_step(steps, params, center, loss, alpha, controller)
            alpha = trial.learning_rate
        prox = ProximalObjective(loss_fn, center, alpha)
        inner_state = inner.init(params)
        if not reset_inner:
            inner_state = jax.tree.unflatten(
                jax.tree.structure(inner_state), jax.tree.leaves(state.inner_state)
            )

        result = minimize(prox, inner, inner_state, params, loss, loss_grad, options, trial)

        point, displacement = result.point, result.displacement
        delta = optax.tree.where(result.moved, displacement, optax.tree.zeros_like(params))
        info = ImplicitStepInfo(
            num_inner_steps=result.num_steps,
            residual=jnp.where(point.error == 0, 0, point.error / point.distance),
            accepted=result.moved | result.solved_at_start,
            learning_rate=result.learning_rate,
        )
        # ½⟨∇L(θₙ) + ∇L(p), θₙ − p⟩ with ∇L(p) = (c − p)/α.
        used = ProximalObjective(loss_fn, center, result.learning_rate)
        slope = optax.tree.sub(loss_grad, used.force(point.params))
        outcome = StepOutcome(
            learning_rate=info.learning_rate,
            accepted=info.accepted,
            value_before=loss,
            value_after=point.loss,
            predicted_decrease=-jnp.asarray(optax.tree.vdot(slope, displacement)).astype(dtype) / 2,
            residual=info.residual,
            num_inner_steps=info.num_inner_steps,
            num_candidates=jnp.asarray(1 if trial is None else len(controller.factors), jnp.int32),
        )
        stored = ()
        if store_grad:
            new_value = jnp.where(result.moved, point.loss, loss)
            new_grad = optax.tree.sub(point.grad, prox.force(point.params))
            new_grad = optax.tree.where(result.moved, new_grad, loss_grad)
            stored = StoredEvaluation(new_value, new_grad)
        new_state = ImplicitStepState(
            count=jnp.asarray(optax.safe_increment(state.count)),
            info=info,
            num_gradients=result.num_gradients,
            controller_state=controller.update(state.controller_state, outcome),
            inner_state=() if reset_inner else without_names(result.inner_state),
            stored=stored,
            velocity=() if momentum is None else delta,
        )
        return forbid_reverse_mode(delta), optax.tree.cast_like(new_state, state)

    return optax.GradientTransformationExtraArgs(init_fn, update_fn)

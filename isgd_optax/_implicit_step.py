"""The implicit (backward Euler, proximal point) step as an optax transformation."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike, DTypeLike

from isgd_optax import _checks
from isgd_optax._from_optax import as_inner_solver
from isgd_optax._implicit_diff import Solved, differentiable
from isgd_optax._inner_solver import InnerSolver, ProximalProblem
from isgd_optax._iterate import StoppingRule, minimize
from isgd_optax._learning_rate import LearningRateController, as_controller
from isgd_optax._metric import as_metric
from isgd_optax._momentum import Momentum
from isgd_optax._norms import scalar_dtype
from isgd_optax._outcome import asked_for, informed, outcome_of, stored_evaluation
from isgd_optax._proximal import Loss, select_kwargs
from isgd_optax._sharding import varying_as, without_explicit_axes
from isgd_optax._state import ImplicitStepInfo, ImplicitStepState
from isgd_optax._stored import StoredEvaluation, as_stored_dtype, starting_evaluation
from isgd_optax._tree import own, without_names
from isgd_optax._update_checks import check_evaluation, check_state


def implicit_step(
    inner: optax.GradientTransformation | InnerSolver,
    learning_rate: optax.ScalarOrSchedule | LearningRateController,
    *,
    max_inner_steps: int = 100,
    rtol: ArrayLike = 1e-3,
    atol: ArrayLike = 0.0,
    safeguard: bool = True,
    reset_inner: bool = True,
    store_grad: bool | DTypeLike = False,
    momentum: ArrayLike | None = None,
    metric: str | optax.Params = "identity",
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

    or for ``max_inner_steps``. The update is :math:`\theta_{n+1} - \theta_n`: apply it as it is.

    Call ``update`` under ``jax.jit``: outside, each call compiles the loop anew. Put this first in a chain;
    what comes before it changes only the first inner gradient, not the equation that is solved (put weight
    decay or a penalty into ``value_fn``). Inside ``optax.MultiSteps`` every mini-step pays for a whole solve;
    accumulate inside ``value_fn`` instead. Draw one mini-batch per call; the whole inner loop must see it.

    ``update(updates, state, params, *, value_fn, value=None, grad=None, **extra_args)`` takes

    * ``updates``: the gradient of the loss at ``params``;
    * ``value_fn``: the loss, ``value_fn(params, **named) -> scalar``, given those of ``extra_args`` it names;
    * ``value``: L(params), to save its evaluation;
    * ``grad``: the gradient, if an earlier transformation has changed ``updates``.

    Derivatives of updates and ``velocity`` are those of the implicit equation, as exact as it is solved, and
    NaN where a step ends at no strict minimum of the proximal objective; the rest has none.

    On a mesh of devices call it within ``jax.set_mesh(mesh)``: without, a :class:`LeastSquares` loss is not
    split up over axes of type ``Auto``, and refused on axes of type ``Explicit``. On the latter, arrays that
    a residual closes over must be leaves: ``Residual(jax.tree_util.Partial(fn, array), points)``.

    Args:
      inner: The solver of the proximal problem: any optax transformation (``optax.sgd``, ``optax.adam``,
        ``optax.lbfgs``, chains) or an :class:`InnerSolver` such as :func:`gauss_newton`. To freeze
        parameters, put ``optax.partition`` here, not around; their gradient stays in the residual, so that
        ``rtol`` hardly ever ends the loop. What follows a line search there costs an evaluation more; inside
        ``optax.partition`` it needs ``mask_compatible_extra_args=True``.
      learning_rate: The step size α > 0: a number, an optax schedule or a
        :class:`LearningRateController`.
      max_inner_steps: The most inner steps per step (the paper's K1).
      rtol: The relative tolerance of the implicit equation, in [0, 1) to be of use. With
        ``rtol=0, atol=0`` exactly ``max_inner_steps`` are made (fewer if an iterate is not
        finite or the inner solver finds no step).
      atol: The absolute tolerance, in units of the parameters (of the metric, if there is one).
      safeguard: Whether to return the inner iterate with the lowest proximal value, and only if it satisfies
        L(θₙ₊₁) + ‖θₙ₊₁ − c‖²_D/(2α) ≤ L(θₙ) + ‖θₙ − c‖²_D/(2α) up to rounding, with c = θₙ unless there is
        ``momentum``, under which L itself may rise; else the update is zero. False returns the
        last iterate, as Algorithm 1 does. A non-finite iterate is never returned.
      reset_inner: Whether to start ``inner`` afresh at every step. False carries its state over; curvature
        pairs of L-BFGS then mix two objectives.
      store_grad: Whether to keep L and ∇L at the new parameters for ``optax.value_and_grad_from_state``. That
        saves a gradient a step for one evaluation of L, by which the next step sees whether they belong to
        its parameters and data; if not, both are evaluated anew. Batches of equal loss there are not told
        apart. L is kept in float32, or float64 if a parameter is; optax needs the dtype that ``value_fn``
        returns: where it is another, give it, as in ``store_grad=jnp.bfloat16``.
      momentum: The momentum μ in [0, 1), which takes :math:`c = \theta_n + \mu (\theta_n - \theta_{n-1})`
        as the centre of the proximal term instead of :math:`\theta_n` (with :func:`gauss_newton` SPRING). It
        carries over what earlier mini-batches have taught; of use where the points are resampled. A step that
        begins with a higher loss than the one before leaves it out: the last step was no good.
      metric: The diagonal D of the norm :math:`\lVert v \rVert_D^2 = \sum_i D_i v_i^2` of the proximal
        term: ``"identity"``; ``"jacobi"``, for parameters of very different size, the largest diagonal so far
        of JᵀJ (of a :class:`LeastSquares`, α is a relative damping then) or of the squared gradient (of
        another loss), which makes solved steps independent of the parameters' units; or a pytree like the
        parameters of positive numbers or arrays. All parameters have one unit under ``"identity"``: where
        α stands at its bound (``info.at_bound``), that may be the reason.

    Returns:
      An ``optax.GradientTransformationExtraArgs`` with :class:`ImplicitStepState`; scalars in it
      are float32, or float64 if a parameter is (α of a controller, of the widest float that is enabled).

    Raises:
      ValueError: α ≤ 0 or not finite, ``max_inner_steps`` < 1, a negative tolerance, a momentum out of
        [0, 1); another metric or one of another structure; a missing argument, or one of other shapes.
      TypeError: ``inner`` is no solver, or (at trace time) a wrapper around an :class:`InnerSolver`;
        ``store_grad`` is no real dtype; parameters are no real arrays, or masked; gradient or state of
        another structure; ``value_fn`` is no real scalar function of them, or joins devices that may differ.

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
      extragradient–proximal point algorithm, 1999. Momentum: Lin, Mairal and Harchaoui, Catalyst acceleration
      for first-order convex optimization, 2018; Goldshlager et al., A Kaczmarz-inspired approach, 2024;
      O'Donoghue and Candès, Adaptive restart for accelerated gradient schemes, 2015.
    """
    solver = as_inner_solver(inner)
    max_inner_steps = _checks.check_count("max_inner_steps", max_inner_steps, 1)
    _checks.check_at_least("rtol", rtol, 0)
    _checks.check_at_least("atol", atol, 0)
    if momentum is not None:
        _checks.check_in_unit_interval("momentum", momentum)
    controller = as_controller(learning_rate)
    weights = as_metric(metric)
    keeps, kept_dtype = as_stored_dtype(store_grad)
    rule = StoppingRule(max_inner_steps, rtol, atol, safeguard, keep_grad=keeps)

    def init_fn(params: optax.Params) -> ImplicitStepState:
        _checks.check_params(params)
        state = ImplicitStepState(
            count=jnp.zeros((), jnp.int32),
            info=ImplicitStepInfo.initial(scalar_dtype(params)),
            num_gradients=jnp.zeros((), jnp.int32),
            controller_state=own(controller.init()),
            inner_state=() if reset_inner else own(without_names(solver.init(params))),
            stored=own(StoredEvaluation.nothing(params, kept_dtype)) if keeps else (),
            velocity=() if momentum is None else Momentum.none(params, scalar_dtype(params)),
            metric_state=own(weights.init(params)),
            floor=jnp.zeros((), scalar_dtype(params)),
        )
        return varying_as(state, params)

    def update_fn(
        updates: optax.Updates,
        state: Any,
        params: optax.Params | None = None,
        *,
        value_fn: Loss | None = None,
        value: ArrayLike | None = None,
        grad: optax.Updates | None = None,
        **extra_args: object,
    ) -> tuple[optax.Updates, ImplicitStepState]:
        params, value_fn = _checks.check_given(params, value_fn)
        is_pytree = not jax.tree_util.all_leaves([value_fn])  # as LeastSquares: its arrays are leaves
        compute = without_explicit_axes(compute_fn, (params, state)) if is_pytree else compute_fn
        return compute(updates, state, params, value_fn, value, grad, extra_args)

    def compute_fn(
        updates: optax.Updates,
        state: ImplicitStepState,
        params: optax.Params,
        value_fn: Loss,
        value: ArrayLike | None,
        grad: optax.Updates | None,
        extra_args: dict[str, object],
    ) -> tuple[optax.Updates, ImplicitStepState]:
        _checks.check_params(params)
        check_evaluation(value, updates if grad is None else grad, params)
        check_state(state, jax.eval_shape(init_fn, params))
        # Weak types would make the loss of an iterate another dtype than that of the start.
        params = jax.tree.map(lambda p: jnp.asarray(p, jnp.asarray(p).dtype), params)
        named = select_kwargs(value_fn, extra_args)
        loss_fn = functools.partial(value_fn, **named) if named else value_fn
        program, loss_dtype = _checks.check_loss(loss_fn, params, state, updates, grad)
        dtype = scalar_dtype(params)
        start, renewed, unmoved = starting_evaluation(
            loss_fn, loss_dtype, params, state.stored, value, updates, grad
        )
        alpha, start = asked_for(controller, state, start, dtype)
        params = start.params
        center = None
        if momentum is not None and isinstance(state.velocity, Momentum):
            center = state.velocity.center(params, momentum, start.loss)
        metric_state, diagonal = weights.measure(state.metric_state, loss_fn, params, start.grad)
        problem = ProximalProblem(loss_fn, center, None, diagonal)

        def solve() -> Solved:
            inner_state = solver.init(params)
            if not reset_inner:
                structure = jax.tree.structure(inner_state)
                inner_state = jax.tree.unflatten(structure, jax.tree.leaves(state.inner_state))
            solution = minimize(problem, alpha, solver, inner_state, start, rule, controller.search)
            outcome, floor = outcome_of(problem, start, solution, alpha, state)
            delta = optax.tree.where(solution.moved, solution.displacement, optax.tree.zeros_like(params))
            new_state = ImplicitStepState(
                count=jnp.asarray(optax.safe_increment(state.count)),
                info=ImplicitStepInfo.of(outcome, alpha, controller.bounds),
                num_gradients=solution.num_gradients + renewed,
                controller_state=informed(controller, state.controller_state, start, outcome),
                inner_state=() if reset_inner else without_names(solution.inner_state),
                stored=stored_evaluation(problem, start, solution, delta, unmoved) if keeps else (),
                velocity=state.velocity,
                metric_state=metric_state,
                floor=floor,
            )
            taken, iterate = outcome.accepted, solution.iterate.at.params
            scale = jnp.where(taken, outcome.learning_rate / alpha, 1)
            return Solved(iterate, delta, scale, taken, optax.tree.cast_like(new_state, state))

        delta, new_state = differentiable(
            solve, program, params, params if center is None else center, alpha, diagonal
        )
        if center is not None:
            new_state = new_state._replace(velocity=Momentum(own(params), start.loss.astype(dtype)))
        return delta, varying_as(new_state, start, alpha)

    return optax.GradientTransformationExtraArgs(init_fn, update_fn)

"""Gauss–Newton in function space: an inner solver of the implicit step for least-squares losses."""

import warnings
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from isgd_optax._checks import check_choice, check_count, check_positive
from isgd_optax._gauss_newton import _linear_solver
from isgd_optax._gauss_newton._ahead import ahead
from isgd_optax._gauss_newton._auto import as_linear_solver, check_memory
from isgd_optax._gauss_newton._cg import cg
from isgd_optax._gauss_newton._corrections import Step, corrected
from isgd_optax._gauss_newton._exact import dual, primal, qr
from isgd_optax._gauss_newton._jacobian import KERNELS, ROW_BLOCK, ResidualJacobian
from isgd_optax._gauss_newton._loss_checks import checked_least_squares
from isgd_optax._gauss_newton._memory import available_bytes
from isgd_optax._inner_solver import Evaluation, InnerSolver, Proposal, ProximalProblem
from isgd_optax._landing import rounded
from isgd_optax._norms import dot
from isgd_optax._search import backtracking


class Linearization(NamedTuple):
    """What the steps from one point have in common, for any α.

    Attributes:
      problem: The proximal problem.
      params: The point p.
      loss: L(p).
      jacobian: The linear model there.
      solve: The solver of the damped linear problem.
      offset: p − c in the unit of the metric, shape (P,); None where p = c.
      image: J times the offset, shape (N,).
      num_gradients: Gradients' worth of work that it has cost.
    """

    problem: ProximalProblem
    params: optax.Params
    loss: jax.Array
    jacobian: ResidualJacobian
    solve: _linear_solver.Solve
    offset: jax.Array | None
    image: jax.Array | None
    num_gradients: int


def gauss_newton(
    *,
    linear_solver: str | _linear_solver.LinearSolver = "auto",
    kernel: str = "auto",
    row_block: int = ROW_BLOCK,
    cg_rtol: float = 1e-6,
    cg_max_steps: int = 200,
    preconditioner_rank: int = 50,
    memory_limit: int | None = None,
    max_corrections: int = 10,
    geodesic_acceleration: bool | None = None,
) -> InnerSolver[optax.OptState, Linearization]:
    r"""The inner solver that solves the linearised implicit equation exactly; for least-squares losses.

    With stacked residuals r, L = ‖r‖², their Jacobian J at the inner iterate p, and centre c,

    .. math::
      p \leftarrow \arg\min_q \lVert r + J (q - p) \rVert^2 + \frac{\lVert q - c \rVert^2}{2\alpha}

    One such step from p = c without corrections is a Levenberg–Marquardt step with damping λ = 1/(2α);
    the model's residual after it is :math:`(I + 2\alpha K)^{-1} r` with the Gram matrix :math:`K = J J^T`
    of N×N numbers (paper Eqs. 16 and 27). Several reach the backward Euler point: ``max_inner_steps`` and
    ``rtol`` of :func:`implicit_step` say how many are made. A controller that searches for α
    (:func:`largest_trusted`) tries several α from the first linearisation. Of blocks with a convex loss
    (``Residual(loss=...)``) the model is that of the generalised Gauss–Newton matrix; a metric of
    :func:`implicit_step` takes the place of the identity in the damping.

    Matrices are formed and factored in float64 if ``jax_enable_x64`` is set, whatever the parameters'
    dtype: K squares the condition number of J. Products with J itself keep the parameters' dtype, which
    limits how large an α is of use with float32 parameters. Where a factorisation fails or the proximal
    objective would rise, the model is damped ten times more, up to 11 times (candidates of a controller
    are left out instead).

    It must be ``inner`` itself, not part of a chain; freeze parameters by closing over them.

    Args:
      linear_solver: The solver of the damped linear problem, a :class:`LinearSolver` (see
        :mod:`isgd_optax.linear_solvers`) or a name. ``"dual"``: Cholesky of K + λI, for N ≤ P;
        ``"primal"``: Cholesky of the P×P matrix JᵀJ + λI; ``"qr"``: QR of J and SVD of its factor, dearer,
        does not square the condition number; ``"cg"``: conjugate gradients on K + λI with JVPs and VJPs, no
        matrix; ``"auto"``: the cheaper of dual and primal that fits in memory, else CG. The choice is
        logged under ``"isgd_optax"``.
      kernel: The way in which K is formed for ``"dual"``. ``"auto"``: each parameter that is a matrix in
        products by its inputs and backward factors, the others by rows of J, as their jaxpr tells;
        ``"layers"``: the same, but other parameters than matrices and added vectors are an error that names
        them; ``"rows"``: from all rows of J, as always over several devices.
      row_block: The number of points whose rows of J are differentiated at once.
      cg_rtol: The relative tolerance of CG, of the names ``"cg"`` and ``"auto"``.
      cg_max_steps: The most steps of that CG.
      preconditioner_rank: The rank of its Nyström preconditioner; 0 for none.
      memory_limit: The bytes that may be used; None takes four fifths of the device's memory.
      max_corrections: The most corrections of a step for what its linear model leaves out. With J kept, they
        solve :math:`J^T r(q) + \lambda (q - c) = 0` by simplified Newton iterations,
        :math:`q \leftarrow \arg\min_{q'} \lVert r(q) + J (q' - q) \rVert^2 + \lambda \lVert q' - c \rVert^2`:
        each is one more solve from the same factorisation, one residual and one product. They end where
        they gain less than a hundredth of the loss. Much larger α in curved valleys. 0 makes plain
        Gauss–Newton steps.
      geodesic_acceleration: Deprecated: False stands for ``max_corrections=0``.

    Returns:
      An :class:`InnerSolver` for :func:`implicit_step`.

    Raises:
      ValueError: An unknown choice, a number out of range; at trace time what will not fit in memory,
        or with ``kernel="layers"`` parameters that enter otherwise.
      TypeError: At trace time, a ``value_fn`` that is no :class:`LeastSquares`, or a subclass with another
        loss.

    Examples:
      Fitting a line by one implicit step with a large α:

      >>> import jax, jax.numpy as jnp
      >>> from isgd_optax import LeastSquares, Residual, gauss_newton, implicit_step
      >>> x = jnp.linspace(0.0, 1.0, 5)
      >>> loss = LeastSquares(Residual(lambda p, x: p[0] + p[1] * x - (1 + 2 * x), x))
      >>> solver = implicit_step(gauss_newton(), learning_rate=1e4)
      >>> params = jnp.zeros(2)
      >>> updates, state = jax.jit(solver.update)(
      ...     jax.grad(loss)(params), solver.init(params), params, value_fn=loss
      ... )
      >>> print((params + updates).round(2))
      [1. 2.]

    References:
      Li, Chen and Huang, Implicit Stochastic Gradient Descent for Training Physics-informed Neural
      Networks, 2023, Eqs. 15, 16 and 27. Levenberg, 1944; Marquardt, 1963. In function space: Müller and
      Zeinhofer, Achieving high accuracy with PINNs via energy natural gradients, 2023; Goldshlager et al.,
      Improving energy natural gradient descent through Woodbury, momentum, and randomization, 2025.
      Hairer and Wanner, Solving Ordinary Differential Equations II, 1996, IV.8 (simplified Newton iterations
      for implicit steps); the first is the geodesic acceleration of Transtrum and Sethna, Improvements to the
      Levenberg–Marquardt algorithm, 2012, to leading order.
    """
    check_choice("kernel", kernel, KERNELS)
    row_block = check_count("row_block", row_block, 1)
    cg_max_steps = check_count("cg_max_steps", cg_max_steps, 1)
    preconditioner_rank = check_count("preconditioner_rank", preconditioner_rank, 0)
    max_corrections = check_count("max_corrections", max_corrections, 0)
    check_positive("cg_rtol", cg_rtol)
    if geodesic_acceleration is not None:
        warnings.warn(
            "gauss_newton(geodesic_acceleration=...) is now max_corrections: 0 for False.",
            DeprecationWarning,
            stacklevel=2,
        )
        max_corrections = max_corrections if geodesic_acceleration else 0
    iterative = cg(rtol=cg_rtol, max_steps=cg_max_steps, preconditioner_rank=preconditioner_rank)
    chosen = as_linear_solver(linear_solver, memory_limit=memory_limit, iterative=iterative)

    def query(problem: ProximalProblem, evaluation: Evaluation, state: optax.OptState) -> Linearization:
        del state
        params = evaluation.params
        loss = checked_least_squares(problem.value_fn, params)
        jacobian = ResidualJacobian(loss, params, metric=problem.metric, kernel=kernel, row_block=row_block)
        if memory_limit is not None or chosen.name != "auto":  # which heeds its own limit
            limit = available_bytes() if memory_limit is None else memory_limit
            check_memory(chosen, jacobian.sizes, limit, (dual(), primal(), qr(), iterative))
        num_gradients = 2 + chosen.num_init_products(jacobian.sizes)  # the matrix and ∇L
        offset, image = None, None
        if problem.center is not None:
            offset = jacobian.measure(optax.tree.sub(params, problem.center))
            image = jacobian.mv(offset)
            num_gradients += 1
        return Linearization(
            problem, params, evaluation.loss, jacobian, chosen.init(jacobian), offset, image, num_gradients
        )

    def step(learning_rate: jax.Array, query: Linearization) -> Proposal:
        problem, params, jacobian = query.problem, query.params, query.jacobian
        damping = 0.5 / learning_rate.astype(jacobian.dtype)
        # Where α is decided, a smaller one damps around p more: the pull towards c stays what it is.
        decided = problem.learning_rate
        share = 1.0 if decided is None else (learning_rate / decided).astype(jacobian.dtype)
        # With o = share·(p − c), v the slope and d + o + v/λ = e:
        # ‖s + J d‖² + 2⟨v, d⟩ + λ‖d + o‖² = ‖(s − J(o + v/λ)) + J e‖² + λ‖e‖² + const.
        data, shift = jacobian.residual, None
        if query.offset is not None and query.image is not None:
            shift = share * query.offset
            data = data - share * query.image
        if jacobian.slope is not None:
            straight = jacobian.slope / damping
            shift = straight if shift is None else shift + straight
            data = data - jacobian.mv(straight)
        offset = 0.0 if query.offset is None else query.offset
        none = jnp.zeros(jacobian.num_params, jacobian.dtype) if shift is None else -shift
        solve = ahead(lambda left: query.solve(damping, left), data)  # one factorisation for all corrections

        # One point at a time: in a batch sums have another order, near a minimum all that L decreases by.
        def refine(step: Step, linear: jax.Array, first: jax.Array) -> tuple[Step, jax.Array]:
            left = jnp.where(first, data, step.outputs - jacobian.outputs - step.image)
            way, more = solve(left)
            displacement = linear + way
            move = jacobian.unravel(displacement)
            point = rounded(optax.tree.cast_like(optax.tree.add(params, move), params))
            residuals = jacobian.loss.evaluate(point)
            return Step(
                displacement=displacement,
                image=jacobian.mv(displacement),
                params=point,
                outputs=jacobian.stacked(residuals).astype(jacobian.dtype),
                loss=jacobian.loss.total(residuals),
            ), more

        def gain(old: Step, new: Step) -> jax.Array:
            way = new.displacement - old.displacement
            longer = damping * dot(way, 2 * (old.displacement + share * offset) + way)
            return (old.loss - new.loss).astype(longer.dtype) - longer

        def predict(linear: Step) -> jax.Array:
            # −½⟨∇φ, d⟩ with ∇φ = 2(Jᵀs + v) + o/α in the unit of the metric.
            predicted = -dot(jacobian.residual, linear.image)
            if query.offset is not None:
                predicted -= damping * share * dot(query.offset, linear.displacement)
            if jacobian.slope is not None:
                predicted -= dot(jacobian.slope, linear.displacement)
            return predicted

        start = Step(none, jnp.zeros_like(data), params, jacobian.outputs, query.loss)
        found, predicted, num_gradients = corrected(start, refine, gain, predict, max_corrections)
        return Proposal(
            params=found.params,
            learning_rate=learning_rate,
            num_gradients=num_gradients.astype(jnp.int32),
            state=(),
            loss=found.loss,
            predicted_decrease=predicted,
        )

    return InnerSolver(
        init=lambda params: (),
        query=query,
        step=step,
        search=backtracking(0.1, 12),
        name="gauss_newton",
        num_query_gradients=lambda query: query.num_gradients,
    )

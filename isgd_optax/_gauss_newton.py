"""Gauss–Newton in function space: an inner solver of the implicit step for least-squares losses."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from isgd_optax import _linear_solvers
from isgd_optax._checks import check_at_least, check_choice, check_positive
from isgd_optax._least_squares import LeastSquares
from isgd_optax._linearization import KERNELS, ROW_BLOCK, Linearization
from isgd_optax._memory import Sizes, available_bytes, check_memory, choose_linear_solver
from isgd_optax._proximal import ProximalObjective, rounding, scalar_dtype, squared_norm

LINEAR_SOLVERS = ("auto", "dual", "primal", "qr", "cg")
_MAX_TRIES = 12


class GaussNewtonState(NamedTuple):
    """State of :func:`gauss_newton`.

    Attributes:
      learning_rate: the α of the last update: smaller than the one asked for where that failed.
      num_gradients: gradients' worth of work in the last update, int32: passes through the network;
        products and factorisations of matrices are not counted.
    """

    learning_rate: jax.Array
    num_gradients: jax.Array


class Step(NamedTuple):
    """A Gauss–Newton step; not finite where a factorisation fails.

    Attributes:
      params: where it leads.
      value: L there.
      tangent: its displacement without geodesic acceleration, the minimiser of the linear model.
      num_gradients: gradients' worth of work, int32.
    """

    params: Any
    value: jax.Array
    tangent: Any
    num_gradients: jax.Array


class Steps(NamedTuple):
    """The Gauss–Newton steps of one linearisation, for any α.

    Attributes:
      at: ``at(α, share=1)``: the step whose model is damped by 1/(2α) around p + share·(c − p).
      grad: ∇L(p).
      num_gradients: what the linearisation itself has cost.
    """

    at: Callable[..., Step]
    grad: Any
    num_gradients: int


class GaussNewton(optax.GradientTransformationExtraArgs):
    """An inner solver that can step with several α from one linearisation; made by :func:`gauss_newton`."""

    linearize: Callable[[Any, Any, Any], Steps]


def gauss_newton(
    *,
    linear_solver: str = "auto",
    kernel: str = "auto",
    row_block: int = ROW_BLOCK,
    cg_rtol: float = 1e-6,
    cg_max_steps: int = 200,
    preconditioner_rank: int = 50,
    memory_limit: int | None = None,
    geodesic_acceleration: bool = True,
) -> GaussNewton:
    r"""The inner solver that solves the linearised implicit equation exactly; for least-squares losses.

    With stacked residuals r, L = ‖r‖², their Jacobian J at the inner iterate p, and centre c,

    .. math::
      p \leftarrow \arg\min_q \lVert r + J (q - p) \rVert^2 + \frac{\lVert q - c \rVert^2}{2\alpha}

    One such step from p = c without acceleration is a Levenberg–Marquardt step with damping λ = 1/(2α);
    the model's residual after it is :math:`(I + 2\alpha K)^{-1} r` with the Gram matrix :math:`K = J J^T`
    of N×N numbers (paper Eqs. 16 and 27). Several reach the backward Euler point. How many, is for
    ``max_inner_steps`` and ``rtol`` of :func:`implicit_step` to say; with a controller that proposes
    several α (:func:`largest_trusted`) the first of them tries several from one linearisation.

    Matrices are formed and factored in float64 if ``jax_enable_x64`` is set, whatever the parameters'
    dtype: K squares the condition number of J. Products with J itself keep the parameters' dtype, which
    limits how large an α is of use with float32 parameters. Where a factorisation fails or the proximal
    objective would rise, the model is damped ten times more, up to 11 times (candidates of a controller
    are left out instead).

    It must be ``inner`` itself, not part of a chain; freeze parameters by closing over them.

    Args:
      linear_solver: ``"dual"``: Cholesky of K + λI, for N ≤ P; ``"primal"``: of the P×P matrix JᵀJ + λI;
        ``"qr"``: QR of J and SVD of its factor, dearer, does not square the condition number; ``"cg"``:
        conjugate gradients on K + λI with JVPs and VJPs, no matrix; ``"auto"``: the smaller of dual and
        primal, or CG if neither fits in memory.
      kernel: how K is formed for ``"dual"``: from the ``"layers"`` of the network without J, from the
        ``"rows"`` of J, or ``"auto"``, layers where the residuals offer them (those of ``pinns`` do).
      row_block: points whose rows of J are differentiated at once.
      cg_rtol: relative tolerance of CG.
      cg_max_steps: most CG steps.
      preconditioner_rank: rank of the Nyström preconditioner of CG; 0 for none.
      memory_limit: bytes that may be used; None takes four fifths of the device's memory.
      geodesic_acceleration: add the correction for the curvature of r along the step, from the same
        factorisation, where that lowers the proximal objective: much larger α in curved valleys, for one
        more solve and one second derivative along a line. False makes plain Gauss–Newton steps.

    Returns:
      A :class:`GaussNewton`, an ``optax.GradientTransformationExtraArgs`` for :func:`implicit_step`.

    Raises:
      ValueError: an unknown choice, a number out of range; at trace time what will not fit in memory,
        or ``kernel="layers"`` for residuals that do not offer them.
      TypeError: at trace time, a ``value_fn`` that is no :class:`LeastSquares`.

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
      Transtrum and Sethna, Improvements to the Levenberg–Marquardt algorithm, 2012 (the acceleration).
    """
    check_choice("linear_solver", linear_solver, LINEAR_SOLVERS)
    check_choice("kernel", kernel, KERNELS)
    check_at_least("row_block", row_block, 1)
    check_at_least("cg_max_steps", cg_max_steps, 1)
    check_at_least("preconditioner_rank", preconditioner_rank, 0)
    check_positive("cg_rtol", cg_rtol)

    def linearize(loss: Any, params: Any, center: Any) -> Steps:
        if not isinstance(loss, LeastSquares):
            raise TypeError(
                "gauss_newton needs the loss as a sum of squares that remembers its residuals: pass a "
                f"LeastSquares of Residual blocks as value_fn, not {loss!r}. Other losses: optax.lbfgs()."
            )
        if any(isinstance(leaf, optax.MaskedNode) for leaf in jax.tree.leaves(params, is_leaf=_is_masked)):
            raise TypeError(
                "gauss_newton got masked parameters. Freeze parameters by closing over them in the functions "
                "of the residuals instead of optax.partition or optax.masked."
            )
        lin = Linearization(loss, params, kernel, row_block)
        chosen = _choose(lin, linear_solver, memory_limit, preconditioner_rank)
        residual = lin.residual.astype(lin.dtype)
        num_gradients = 2  # the matrix and ∇L
        away, away_residual = None, None
        if center is not params:
            away = optax.tree.sub(params, center)
            away_residual = lin.push(away)
            num_gradients += 1
        options = {"rtol": cg_rtol, "max_steps": cg_max_steps, "rank": preconditioner_rank}
        if chosen == "cg":
            num_gradients += min(preconditioner_rank, lin.num_residuals)
        factory = getattr(_linear_solvers, chosen)
        solve = factory(lin, **(options if chosen == "cg" else {}))

        def evaluate(displacement: Any) -> tuple[Any, jax.Array]:
            point = optax.tree.cast_like(optax.tree.add(params, displacement), params)
            return point, jnp.asarray(loss(point))

        def at(alpha: jax.Array, share: jax.Array | float = 1.0) -> Step:
            damping = 0.5 / alpha.astype(lin.dtype)
            # With o = share·(p − c) and d + o = e: ‖r + J d‖² + λ‖d + o‖² = ‖(r − J o) + J e‖² + λ‖e‖².
            shifted, offset = residual, None
            if away is not None and away_residual is not None:
                shifted = residual - share * away_residual
                offset = optax.tree.scale(share, away)
            step, num_products = solve(damping, shifted)
            tangent = step if offset is None else optax.tree.sub(step, offset)
            point, value = evaluate(tangent)
            if not geodesic_acceleration:
                return Step(point, value, tangent, num_products)
            bend, more = solve(damping, lin.curvature(optax.tree.cast_like(tangent, params)) / 2)
            curved, curved_value = evaluate(optax.tree.add(tangent, bend))
            longer = squared_norm(optax.tree.add(step, bend)) - squared_norm(step)
            better = curved_value + longer / (2 * alpha) < value  # false where it is not finite
            point = optax.tree.where(better, curved, point)
            value = jnp.where(better, curved_value, value)
            return Step(point, value, tangent, num_products + more + 1)

        return Steps(at, lin.pull(2 * residual), num_gradients)

    def init(params: Any) -> GaussNewtonState:
        return GaussNewtonState(jnp.zeros((), scalar_dtype(params)), jnp.zeros((), jnp.int32))

    def update(
        updates: Any,
        state: Any,
        params: Any = None,
        *,
        value_fn: Any = None,
        value: Any = None,
        **extra_args: Any,
    ) -> Any:
        del updates, state, extra_args
        if not isinstance(value_fn, ProximalObjective):
            raise TypeError(
                "gauss_newton is an inner solver: use it as "
                "implicit_step(gauss_newton(), learning_rate), which calls it with its proximal objective."
            )
        prox = value_fn
        steps = linearize(prox.value_fn, params, prox.center)

        def retry(carry: Any) -> Any:
            count, alpha, step = carry
            alpha = alpha / 10
            # Damped around p more and more: the force towards c stays what it is.
            new = steps.at(alpha, alpha / prox.learning_rate)
            return count + 1, alpha, new._replace(num_gradients=step.num_gradients + new.num_gradients)

        def failed(carry: Any) -> jax.Array:
            count, _, step = carry
            descends = step.value + prox.term(step.params) <= value + rounding(value)  # false for NaN
            return (count < _MAX_TRIES) & ~(descends & _is_finite(step.params))

        carry = (jnp.ones((), jnp.int32), prox.learning_rate, steps.at(prox.learning_rate))
        _, alpha, step = jax.lax.while_loop(failed, retry, carry)
        work = steps.num_gradients + step.num_gradients
        return optax.tree.sub(step.params, params), GaussNewtonState(alpha, work)

    solver = GaussNewton(init, update)
    solver.linearize = linearize
    return solver


def _choose(lin: Linearization, linear_solver: str, memory_limit: int | None, rank: int) -> str:
    factors, layer = None, 0
    if linear_solver in ("auto", "dual") and lin.factors is not None:
        layers = [f for block in lin.factors for f in block.values()]
        factors = sum(math.prod(f.inputs.shape) + math.prod(f.taps.shape) for f in layers)
        layer = max((f.num_params for f in layers if f.forms_rows()), default=0)
    per_point = max(block.num_residuals(lin.params) for block in lin.loss.blocks)
    sizes = Sizes(
        lin.num_residuals, lin.num_params, lin.dtype.itemsize, factors, layer, lin.row_block * per_point, rank
    )
    limit = available_bytes() if memory_limit is None else memory_limit
    if linear_solver == "auto":
        return choose_linear_solver(sizes, limit)
    check_memory(linear_solver, sizes, limit)
    return linear_solver


def _is_masked(node: Any) -> bool:
    return isinstance(node, optax.MaskedNode)


def _is_finite(tree: Any) -> jax.Array:
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]).all()

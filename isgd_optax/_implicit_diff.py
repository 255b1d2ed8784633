"""Derivatives of a solved implicit step by the implicit function theorem."""

from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike

from isgd_optax._norms import dot
from isgd_optax._sharding import varying_as

Aux = TypeVar("Aux")

Constants = Sequence[jax.Array]
# What L closes over, the start, the centre, α and the metric.
Inputs = tuple[Constants, optax.Params, optax.Params, jax.Array, optax.Params | None]


class Solved(NamedTuple, Generic[Aux]):
    """A solution of the implicit equation, as :func:`differentiable` takes it.

    Attributes:
      params: The solution p.
      displacement: The update, p minus the start, in the dtypes of p; zero where the step was not taken.
      scale: The α of the equation that p solves, as a multiple of the α asked for; finite.
      taken: Whether p solves the equation and may be returned, boolean.
      aux: Anything else that ``solve`` returns.
    """

    params: optax.Params
    displacement: optax.Updates
    scale: jax.Array
    taken: jax.Array
    aux: Aux


def differentiable(
    solve: Callable[[], Solved[Aux]],
    loss: ClosedJaxpr,
    start: optax.Params,
    center: optax.Params,
    learning_rate: jax.Array,
    metric: optax.Params | None = None,
    *,
    rtol: float | None = None,
    max_steps: int = 1000,
) -> tuple[optax.Updates, Aux]:
    r"""The displacement and aux of ``solve()``, with the derivatives of the equation that it solves.

    With centre c, metric D (the identity by default) and step size α, the solution p satisfies

    .. math::
      F(p) = D (p - c) / \alpha + \nabla L(p) = 0, \qquad
      (D / \alpha + \nabla^2 L(p)) \, \dot p = -\dot F

    where :math:`\dot F` is the derivative of F at fixed p along the tangents of c, α, D and of all that L
    closes over. Conjugate gradients solve :math:`(I + \alpha D^{-1/2} \nabla^2 L D^{-1/2}) y = -\alpha
    D^{-1/2} \dot F` for :math:`y = D^{1/2} \dot p` with Hessian-vector products. How ``solve`` got to p
    does not matter: the derivatives are those of the exact step, as good as the equation is solved, in
    forward and reverse mode and of higher order (through ``scan`` not reverse over reverse, for which JAX
    drops custom rules and complains). They are traced only where something is differentiated.

    Where the step was not taken they are zero. The derivatives of ``aux`` are zero everywhere. Where p is no
    strict minimiser (CG meets negative curvature), or CG leaves a relative residual above the square root of
    ``rtol``, they are NaN.

    Args:
      solve: The solver, a function without arguments; it may close over anything.
      loss: The program of L, from a pytree of parameters to a scalar; its constants are all that L
        closes over.
      start: The parameters θ that the displacement is counted from.
      center: The centre c of the proximal term, a pytree like θ.
      learning_rate: The step size α > 0, a scalar.
      metric: The positive diagonal D as a pytree like θ, or None for the identity.
      rtol: The relative tolerance of CG; None takes ε^(3/4) of its dtype, 6e-6 in float32, 2e-12 in float64.
      max_steps: The most CG steps.

    Returns:
      The pair (displacement, aux) of ``solve()``.

    Raises:
      TypeError: Parameters below float32 are differentiated.

    References:
      Krantz and Parks, The Implicit Function Theorem, 2002. Blondel et al., Efficient and modular implicit
      differentiation, 2022.
    """
    # Under jit a constant may be differentiated after this trace has ended, so all are arguments. One
    # inner jit makes the step a single instruction: it is not traced twice.
    program, shape = jax.make_jaxpr(jax.jit(solve), return_shape=True)()
    result = jax.tree.structure(shape)
    # Without their constants: the rule below outlives the trace, which jax.checking_leaks reports.
    solver, body = (p.jaxpr.replace(constvars=p.jaxpr.constvars) for p in (program, loss))

    @jax.custom_jvp
    def solved(solve_constants: Constants, inputs: Inputs) -> Solved[Aux]:
        del inputs
        closed = ClosedJaxpr(solver, solve_constants)
        return jax.tree.unflatten(result, jaxpr_as_fun(closed)())

    def equation(point: optax.Params, inputs: Inputs, scale: jax.Array) -> optax.Params:
        """D^{-1/2} α F, in the dtypes of p."""
        constants, _, center, alpha, metric = inputs
        value = jaxpr_as_fun(ClosedJaxpr(body, constants))
        grad = jax.grad(lambda p: value(*jax.tree.leaves(p))[0])(point)
        if metric is None:
            return jax.tree.map(
                lambda p, c, g: p - c + (scale * alpha * g).astype(p.dtype), point, center, grad
            )
        return jax.tree.map(
            lambda p, c, g, d: (jnp.sqrt(d) * (p - c) + scale * alpha / jnp.sqrt(d) * g).astype(p.dtype),
            point,
            center,
            grad,
            metric,
        )

    @solved.defjvp
    def jvp(
        primals: tuple[Constants, Inputs], tangents: tuple[Constants, Inputs]
    ) -> tuple[Solved[Aux], Solved[Aux]]:
        out = solved(*primals)
        inputs, dots = primals[1], tangents[1]
        dtype = _cg_dtype(inputs[1])
        # Where the step was not taken, the start, since a refused point may lie anywhere.
        point = optax.tree.where(out.taken, out.params, inputs[1])
        mask = lambda tree: jax.tree.map(lambda x: jnp.where(out.taken, x, 0).astype(x.dtype), tree)
        root = jax.tree.map(jnp.sqrt, inputs[4])
        # One flat vector: custom_linear_solve cannot be transposed if a leaf does not depend on the tangents.
        flat = lambda tree: ravel_pytree(jax.tree.map(lambda x: x.astype(dtype), tree))[0]
        unflatten = ravel_pytree(jax.tree.map(lambda x: x.astype(dtype), point))[1]

        def direction(y: jax.Array) -> optax.Params:
            tree = unflatten(y)
            scaled = tree if root is None else jax.tree.map(jnp.divide, tree, root)
            return optax.tree.cast_like(scaled, point)

        slope = jax.linearize(lambda p: equation(p, inputs, out.scale), point)[1]
        drift = jax.jvp(lambda i: equation(point, i, out.scale), (inputs,), (dots,))[1]
        y = jax.lax.custom_linear_solve(
            lambda y: flat(slope(direction(y))),
            flat(mask(optax.tree.scale(-1, drift))),
            lambda product, rhs: _conjugate_gradients(product, rhs, rtol, max_steps),
            symmetric=True,
        )
        point_dot = mask(direction(y))
        out_dot = jax.tree.map(_zero_tangent, out)
        return out, out_dot._replace(params=point_dot, displacement=optax.tree.sub(point_dot, mask(dots[1])))

    inputs = (loss.consts, start, center, learning_rate, metric)
    out = solved(program.consts, inputs)
    return out.displacement, out.aux


def _cg_dtype(params: optax.Params) -> jnp.dtype:
    """The widest dtype of the parameters; TypeError for half precision."""
    dtypes = [leaf.dtype for leaf in jax.tree.leaves(params)]
    if any(jnp.finfo(dtype).bits < 32 for dtype in dtypes):
        raise TypeError(
            "The derivatives of an implicit step need parameters of at least float32, got "
            f"{sorted({str(dtype) for dtype in dtypes})}. Cast the parameters, or stop the gradient with "
            "jax.lax.stop_gradient on the updates."
        )
    return max(dtypes, key=lambda dtype: dtype.itemsize, default=jnp.dtype(jnp.float32))


def _zero_tangent(x: jax.Array) -> ArrayLike:
    """The zero of x's tangent space; of integers and keys that is no array of JAX."""
    inexact = jnp.issubdtype(x.dtype, jnp.inexact)
    return jnp.zeros_like(x) if inexact else np.zeros(x.shape, jax.dtypes.float0)


def _conjugate_gradients(
    product: Callable[[jax.Array], jax.Array], rhs: jax.Array, rtol: float | None, max_steps: int
) -> jax.Array:
    """The solution of a symmetric system; NaN if that is not positive definite or not solved well enough."""
    largest = jnp.max(jnp.abs(rhs), initial=0)
    largest = jnp.where(largest > 0, largest, 1)  # squares of entries may leave the range of float32
    rhs = rhs / largest
    total = dot(rhs, rhs)
    tolerance = float(jnp.finfo(rhs.dtype).eps) ** 0.75 if rtol is None else rtol

    def body(carry: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        count, x, residual, direction, rho, _ = carry
        image = product(direction)
        curvature = dot(direction, image)
        step = rho / curvature
        x, residual = x + step * direction, residual - step * image
        new = dot(residual, residual)
        return count + 1, x, residual, residual + new / rho * direction, new, curvature > 0

    def unfinished(carry: tuple[jax.Array, ...]) -> jax.Array:
        count, _, _, _, rho, convex = carry
        return convex & (rho > tolerance**2 * total) & (count < max_steps)

    carry = (jnp.zeros((), jnp.int32), jnp.zeros_like(rhs), rhs, rhs, total, jnp.ones((), bool))
    carry = varying_as(carry, rhs)
    _, x, _, _, rho, convex = jax.lax.while_loop(unfinished, body, carry)
    return jnp.where(convex & (rho <= tolerance * total), largest * x, jnp.nan)

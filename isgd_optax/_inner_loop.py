"""The inner iteration: an optax solver minimises the proximal objective in one ``while_loop``."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from isgd_optax._candidates import Trial
from isgd_optax._gauss_newton import GaussNewtonState
from isgd_optax._proximal import ProximalObjective, norm, rounding
from isgd_optax._reuse import line_search_evaluation


class Point(NamedTuple):
    """A point of the inner iteration and what is known there."""

    params: Any
    loss: jax.Array  # L(p)
    value: jax.Array  # the proximal objective φ(p)
    grad: Any  # ∇φ(p); None where nobody asks for it
    error: jax.Array  # ‖(p − c) + α∇L(p)‖ = α‖∇φ(p)‖
    distance: jax.Array  # ‖p − c‖

    def is_finite(self) -> jax.Array:
        """Whether value, gradient and parameters are."""
        return jnp.isfinite(self.value) & jnp.isfinite(self.error) & jnp.isfinite(self.distance)


class InnerResult(NamedTuple):
    """What the inner iteration found.

    Attributes:
      point: the best point, or the last one without the safeguard.
      displacement: that point minus the start.
      moved: whether that point may be returned; if not, stay at the start.
      solved_at_start: whether the start solves the implicit equation already.
      learning_rate: α; of a single step that its solver damped more, the smaller one.
      num_steps: inner steps taken, int32.
      num_gradients: gradients of L evaluated, int32.
      inner_state: the solver's last state.
    """

    point: Point
    displacement: Any
    moved: jax.Array
    solved_at_start: jax.Array
    learning_rate: jax.Array
    num_steps: jax.Array
    num_gradients: jax.Array
    inner_state: Any


class Options(NamedTuple):
    """When the inner iteration stops, and what it returns; see :func:`implicit_step`."""

    max_steps: int | jax.Array
    rtol: ArrayLike
    atol: ArrayLike
    safeguard: bool
    keep_grad: bool


class _Carry(NamedTuple):
    num_steps: jax.Array
    done: jax.Array
    point: Point
    best: Point | None  # None without the safeguard
    inner_state: Any
    num_gradients: jax.Array


def minimize(
    prox: ProximalObjective,
    inner: optax.GradientTransformationExtraArgs,
    inner_state: Any,
    params: Any,
    loss: jax.Array,
    grad: Any,
    options: Options,
    trial: Trial | None = None,
) -> InnerResult:
    """Minimises ``prox`` with ``inner`` from ``params``, where L has value ``loss`` and gradient ``grad``.

    A ``trial`` is the first inner step, already made.
    """
    dtype = jnp.asarray(prox.learning_rate).dtype
    rtol, atol = jnp.asarray(options.rtol, dtype), jnp.asarray(options.atol, dtype)

    def new_point(params: Any, loss: jax.Array, value: jax.Array, grad: Any) -> Point:
        error = (prox.learning_rate * norm(grad)).astype(dtype)
        distance = norm(optax.tree.sub(params, prox.center)).astype(dtype)
        return Point(params, loss, value, grad, error, distance)

    def is_solved(point: Point) -> jax.Array:
        return ((rtol > 0) | (atol > 0)) & (point.error <= rtol * point.distance + atol)

    def descends(point: Point) -> jax.Array:
        return point.value <= start.value + rounding(start.value)

    def evaluate(params: Any, inner_state: Any) -> tuple[Point, jax.Array]:
        cached = line_search_evaluation(inner_state, params)
        if cached is None:
            return new_point(params, *prox.value_and_grad(params)), jnp.ones((), jnp.int32)
        value = cached.value.astype(start.value.dtype)
        return new_point(
            params, value - prox.term(params).astype(value.dtype), value, cached.grad
        ), cached.num_gradients

    def body(carry: _Carry) -> _Carry:
        p = carry.point
        updates, inner_state = inner.update(
            p.grad, carry.inner_state, p.params, value=p.value, grad=p.grad, value_fn=prox
        )
        inner_state = optax.tree.cast_like(inner_state, carry.inner_state)
        new, num_gradients = evaluate(optax.apply_updates(p.params, updates), inner_state)
        finite = new.is_finite()
        solved = finite & is_solved(new)
        best = carry.best
        if best is not None:
            # Within rounding the later iterate is the better one, and one that solves the equation is best.
            lower = new.value <= best.value + jnp.where(jnp.isfinite(best.value), rounding(best.value), 0)
            lowest = jnp.where(finite, jnp.minimum(best.value, new.value), best.value)
            best = optax.tree.where(finite & (lower | (solved & descends(new))), keep(new), best)
            best = best._replace(value=lowest)
        num_gradients += carry.num_gradients + _work(inner_state)
        return _Carry(carry.num_steps + 1, solved | ~finite, new, best, inner_state, num_gradients)

    def keep(point: Point) -> Point:
        return point if options.keep_grad else point._replace(grad=None)

    start = new_point(params, loss, loss, grad)
    if prox.center is not params:
        value = loss + prox.term(params).astype(loss.dtype)
        start = new_point(params, loss, value, optax.tree.add(grad, prox.force(params)))
    usable = start.is_finite() & jnp.isfinite(prox.learning_rate) & (prox.learning_rate > 0)
    solved_at_start = usable & is_solved(start)
    carry = _Carry(
        num_steps=jnp.zeros((), jnp.int32),
        done=solved_at_start | ~usable,
        point=start,
        best=keep(start)._replace(value=jnp.full_like(start.value, jnp.inf)) if options.safeguard else None,
        inner_state=inner_state,
        num_gradients=jnp.zeros((), jnp.int32),
    )
    if trial is not None:
        first = new_point(trial.params, *prox.value_and_grad(trial.params))
        failed = carry.done | ~(trial.accepted & first.is_finite())
        carry = carry._replace(
            num_steps=jnp.where(carry.done, 0, 1).astype(jnp.int32),
            done=failed | is_solved(first),
            point=first,
            best=optax.tree.where(failed, carry.best, keep(first)) if options.safeguard else None,
            num_gradients=trial.num_gradients + 1,
        )
    if trial is None or not (isinstance(options.max_steps, int) and options.max_steps == 1):
        carry = jax.lax.while_loop(
            lambda carry: ~carry.done & (carry.num_steps < options.max_steps), body, carry
        )
    point = carry.point if carry.best is None else carry.best
    displacement = optax.tree.sub(point.params, params)
    # An iterate at the start is a step only if the start solves the equation.
    moved = point.is_finite() & (carry.num_steps > 0) & ((norm(displacement) > 0) | (point.error == 0))
    if trial is not None:
        moved &= trial.accepted
    if options.safeguard:
        moved &= descends(point)
    if options.keep_grad and line_search_evaluation(inner_state, prox.center) is not None:
        # The line search knows φ only; φ − ‖p − c‖²/(2α) loses the digits of a small L.
        point = point._replace(loss=jnp.asarray(prox.value_fn(point.params)))
    return InnerResult(
        point,
        displacement,
        moved,
        solved_at_start,
        _effective_learning_rate(prox, carry),
        carry.num_steps,
        carry.num_gradients,
        carry.inner_state,
    )


def _work(inner_state: Any) -> jax.Array | int:
    """Gradients' worth of work that the inner solver reports to have done itself."""
    return inner_state.num_gradients if isinstance(inner_state, GaussNewtonState) else 0


def _effective_learning_rate(prox: ProximalObjective, carry: _Carry) -> jax.Array:
    """The α of a single Gauss–Newton step; several approach the equation with the α asked for."""
    if not isinstance(carry.inner_state, GaussNewtonState):
        return prox.learning_rate
    single = (carry.num_steps == 1) & (carry.inner_state.learning_rate > 0)
    return jnp.where(single, carry.inner_state.learning_rate, prox.learning_rate)

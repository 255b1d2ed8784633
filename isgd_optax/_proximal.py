"""The proximal objective L(p) + ‖p − c‖²_D / (2α)."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from isgd_optax._norms import as_wide_as, norm, squared_norm, vdot
from isgd_optax._tree import FieldsAsLeaves, as_pytree

Loss = Callable[[Any], ArrayLike]  # of any pytree: functions of one array are losses too


def select_kwargs(fn: Callable[..., ArrayLike], kwargs: Mapping[str, object]) -> Mapping[str, object]:
    """The entries of ``kwargs`` that ``fn`` names (all, if it takes ``**kwargs``)."""
    try:
        parameters = inspect.signature(fn).parameters.values()
    except ValueError:  # some builtins have no signature
        return {}
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return kwargs
    named = {p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}
    return {name: value for name, value in kwargs.items() if name in named}


class ProximalObjective(FieldsAsLeaves):
    r"""The function whose minimiser is the implicit step.

    .. math:: \phi(p) = L(p) + \frac{\lVert p - c \rVert_D^2}{2\alpha}

    It has the minimiser of paper Eq. 12, scaled by 1/α so that its gradient at
    :math:`p = c` is :math:`\nabla L(c)`. A callable pytree: it can be passed
    through ``jit`` and handed to a line search as its ``value_fn``.

    Args:
      value_fn: The loss L, from a pytree of floating-point parameters to a real scalar.
      center: The centre c of the proximal term, a pytree like the parameters.
      learning_rate: The step size α > 0, a scalar.
      metric: The diagonal D of the norm, a pytree like the parameters whose leaves are positive scalars or
        arrays of the parameters' shapes. None for the identity.

    Examples:
      >>> import jax.numpy as jnp
      >>> from isgd_optax import ProximalObjective
      >>> phi = ProximalObjective(lambda p: jnp.sum(p**2), jnp.array([1.0, 0.0]), 0.5)
      >>> print(phi(jnp.array([0.0, 2.0])))
      9.0

    References:
      Li, Chen and Huang, Implicit Stochastic Gradient Descent for Training
      Physics-informed Neural Networks, 2023, Eq. 12.
    """

    _leaves = ("value_fn", "center", "learning_rate", "metric")

    def __init__(
        self,
        value_fn: Loss,
        center: optax.Params,
        learning_rate: ArrayLike,
        metric: optax.Params | None = None,
    ):
        self.value_fn = as_pytree(value_fn)
        self.center = jax.tree.map(jnp.asarray, center)  # which may be Python floats
        self.learning_rate = _as_float(learning_rate)
        self.metric = None if metric is None else jax.tree.map(_as_float, metric)

    def __call__(self, params: optax.Params) -> jax.Array:
        loss = jnp.asarray(self.value_fn(params))
        return loss + self.term(params).astype(loss.dtype)

    def squared_distance(self, params: optax.Params) -> jax.Array:
        """‖p − c‖²_D, in float32 at least."""
        return squared_norm(optax.tree.sub(params, self.center), self.metric)

    def distance(self, params: optax.Params) -> jax.Array:
        """‖p − c‖_D, in float32 at least."""
        return norm(optax.tree.sub(params, self.center), self.metric)

    def squared_distance_gain(self, params: optax.Params, start: optax.Params) -> jax.Array:
        """‖p − c‖²_D − ‖θ − c‖²_D = ⟨p − θ, (p − c) + (θ − c)⟩_D, which does not cancel where p is near θ."""
        moved = optax.tree.sub(params, start)
        both = optax.tree.add(optax.tree.sub(params, self.center), optax.tree.sub(start, self.center))
        if self.metric is not None:
            both = jax.tree.map(lambda d, v: d * as_wide_as(v, d), self.metric, both)
        return vdot(moved, both)

    def term(self, params: optax.Params) -> jax.Array:
        """‖p − c‖²_D/(2α), in float32 at least."""
        return self.squared_distance(params) / (2 * self.learning_rate)

    def term_gradient(self, params: optax.Params) -> optax.Updates:
        """D(p − c)/α, the gradient of the proximal term, in the dtypes of p."""
        alpha = self.learning_rate
        way = jax.tree.map(lambda p, c: as_wide_as(p - c, alpha), params, self.center)
        if self.metric is not None:
            way = jax.tree.map(lambda v, d: d.astype(v.dtype) * v, way, self.metric)
        return jax.tree.map(lambda p, v: (v / alpha.astype(v.dtype)).astype(jnp.result_type(p)), params, way)

    def value_and_grad(self, params: optax.Params) -> tuple[jax.Array, jax.Array, optax.Updates]:
        """L(p), φ(p) and ∇φ(p); L is returned too, free of the rounding of φ."""
        loss, grad = jax.value_and_grad(lambda p: jnp.asarray(self.value_fn(p)))(params)
        value = loss + self.term(params).astype(loss.dtype)
        return loss, value, optax.tree.add(grad, self.term_gradient(params))

    def residual_norm(self, grad: optax.Updates) -> jax.Array:
        """‖(p − c) + αD⁻¹∇L(p)‖_D = α‖∇φ(p)‖_{D⁻¹}, the residual of the implicit equation, from ∇φ(p)."""
        return self.learning_rate * self.dual_norm(grad)

    def dual_norm(self, grad: optax.Updates) -> jax.Array:
        """‖g‖_{D⁻¹} of a gradient."""
        return norm(grad, None if self.metric is None else jax.tree.map(lambda d: 1 / d, self.metric))


def _as_float(x: ArrayLike) -> jax.Array:
    """An array of ``x``, whole numbers in the default dtype."""
    array = jnp.asarray(x)
    return array if jnp.issubdtype(array.dtype, jnp.inexact) else array.astype(float)

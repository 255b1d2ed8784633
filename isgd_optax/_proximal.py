"""The proximal objective L(p) + ‖p − c‖² / (2α)."""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from isgd_optax._pytree import FieldsAsLeaves, as_pytree


def select_kwargs(fn: Callable[..., Any], kwargs: dict[str, Any]) -> dict[str, Any]:
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

    .. math:: \phi(p) = L(p) + \frac{\lVert p - c \rVert^2}{2\alpha}

    It has the minimiser of paper Eq. 12, scaled by 1/α so that its gradient at
    :math:`p = c` is :math:`\nabla L(c)`. A callable pytree: it can be passed
    through ``jit`` and handed to a line search as its ``value_fn``.

    Args:
      value_fn: the loss L; pytree of floating-point parameters to real scalar.
      center: c, a pytree like the parameters.
      learning_rate: α > 0, a scalar.

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

    _leaves = ("value_fn", "center", "learning_rate")

    def __init__(self, value_fn: Callable[[Any], Any], center: Any, learning_rate: ArrayLike):
        self.value_fn = as_pytree(value_fn)
        self.center = center
        self.learning_rate = jnp.asarray(learning_rate)

    def __call__(self, params: Any) -> jax.Array:
        loss = jnp.asarray(self.value_fn(params))
        return loss + self.term(params).astype(loss.dtype)

    def term(self, params: Any) -> jax.Array:
        """‖p − c‖²/(2α), in float32 at least."""
        return squared_norm(optax.tree.sub(params, self.center)) / (2 * self.learning_rate)

    def force(self, params: Any) -> Any:
        """(p − c)/α, the gradient of the proximal term, in the dtypes of p."""
        return jax.tree.map(lambda p, c: ((p - c) / self.learning_rate).astype(p.dtype), params, self.center)

    def value_and_grad(self, params: Any) -> tuple[jax.Array, jax.Array, Any]:
        """L(p), φ(p) and ∇φ(p); L is returned too, free of the rounding of φ."""
        loss, grad = jax.value_and_grad(lambda p: jnp.asarray(self.value_fn(p)))(params)
        value = loss + self.term(params).astype(loss.dtype)
        return loss, value, optax.tree.add(grad, self.force(params))


def squared_norm(tree: Any) -> jax.Array:
    """‖tree‖², accumulated in float32 at least."""
    total = jnp.zeros((), jnp.float32)
    for leaf in jax.tree.leaves(tree):
        total += jnp.sum(jnp.square(leaf.astype(jnp.promote_types(leaf.dtype, jnp.float32))))
    return total


def norm(tree: Any) -> jax.Array:
    """‖tree‖ over all leaves, accumulated in float32 at least."""
    return jnp.sqrt(squared_norm(tree))


def rounding(value: jax.Array) -> jax.Array:
    """The size of a few rounding errors of ``value``."""
    return 4 * jnp.finfo(value.dtype).eps * jnp.abs(value)


def scalar_dtype(params: Any) -> jnp.dtype:
    """float32, or float64 if a parameter is."""
    leaves = [leaf for leaf in jax.tree.leaves(params) if hasattr(leaf, "dtype")]
    dtypes = [jax.dtypes.canonicalize_dtype(leaf.dtype) for leaf in leaves]
    return jnp.result_type(jnp.float32, *dtypes)

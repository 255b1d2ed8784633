"""Operators that combine derivatives: Laplacian, mixed derivatives, Hessian, biharmonic."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from pinns._taylor import Function, along, as_directions


def laplacian(
    u: Function, x: jax.Array, *, axes: Sequence[int] | None = None
) -> tuple[jax.Array, jax.Array, jax.Array]:
    r"""Value, first derivatives and Laplacian of ``u`` at one point.

    .. math:: \Delta u = \sum_i \frac{\partial^2 u}{\partial x_i^2}

    Args:
      u: A network, or any function of one point. A network that declares ``supports_jets`` is passed
        through once with d + 2 streams; any other function by nested forward derivatives.
      x: The point, shape (d,).
      axes: Numbers of the coordinates over which the sum goes, e.g. those of space; None for all.

    Returns:
      u(x) of shape (m,), ∂u/∂xᵢ of shape (d, m), or of as many rows as ``axes`` in their order, and Δu of
      shape (m,). A time derivative beside a sum over space is one of :func:`pinns.gradient`.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns import laplacian
      >>> _, _, lap = laplacian(lambda x: jnp.sum(x**2), jnp.array([2.0, 3.0]))
      >>> print(lap)
      4.0
    """
    value, first, summed = along(u, x, 2, as_directions(axes, x), collapsed=True)
    return value, first, summed[0]


def mixed_derivative(
    u: Function, x: jax.Array, axes: tuple[int, int] = (0, 1)
) -> tuple[jax.Array, jax.Array, jax.Array]:
    r"""Value, two first derivatives and the mixed second derivative of ``u`` at one point.

    .. math:: \partial_i \partial_j u = \tfrac14 \big( D^2[e_i + e_j] - D^2[e_i - e_j] \big)

    Args:
      u: A network, or any function of one point. Through a network that declares ``supports_jets`` the
        difference is propagated, not both second derivatives: four streams.
      x: The point, shape (d,).
      axes: The numbers i and j of two coordinates.

    Returns:
      u(x) of shape (m,), ∂u/∂xᵢ and ∂u/∂xⱼ of shape (2, m), and ∂²u/∂xᵢ∂xⱼ of shape (m,).

    Raises:
      ValueError: Not two different coordinates, or numbers out of range.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns import mixed_derivative
      >>> _, _, mixed = mixed_derivative(lambda x: x[0] ** 2 * x[1], jnp.array([2.0, 3.0]))
      >>> print(mixed)
      4.0

    References:
      Griewank, Utke and Walther, Evaluating higher derivative tensors by forward propagation of univariate
      Taylor series, 2000.
    """
    if len(axes) != 2 or axes[0] % len(x) == axes[1] % len(x):
        raise ValueError(f"axes must be the numbers of two coordinates, got {axes}; see second_derivatives.")
    one, other = as_directions(axes, x)
    weights = jnp.asarray([0.25, -0.25], one.dtype)
    directions = jnp.stack([one + other, one - other])
    value, first, mixed = along(u, x, 2, directions, collapsed=True, weights=weights)
    sum_, difference = first
    return value, jnp.stack([sum_ + difference, sum_ - difference]) / 2, mixed[0]


def hessian(
    u: Function, x: jax.Array, *, axes: Sequence[int] | None = None
) -> tuple[jax.Array, jax.Array, jax.Array]:
    r"""Value, gradient and all second derivatives of ``u`` at one point.

    .. math:: \partial_i \partial_j u = \tfrac12 \big( D^2[e_i + e_j] - D^2[e_i] - D^2[e_j] \big)

    Args:
      u: A network, or any function of one point.
      x: The point, shape (d,).
      axes: Numbers of the a coordinates along which derivatives are wanted; None for all d.

    Returns:
      u(x) of shape (m,), ∂u/∂xᵢ of shape (a, m), and ∂²u/∂xᵢ∂xⱼ of shape (a, a, m), in the order of ``axes``.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns import hessian
      >>> _, _, second = hessian(lambda x: x[0] ** 2 * x[1], jnp.array([2.0, 3.0]))
      >>> print(second[0, 1], second[0, 0])
      4.0 6.0
    """
    one = _unit_vectors(axes, x)
    dim = len(one)
    rows, columns = np.triu_indices(dim, 1)
    directions = np.concatenate([one, one[rows] + one[columns]])
    value, first, second = along(u, x, 2, as_directions(directions, x))
    pure = second[:dim]
    mixed = (second[dim:] - pure[rows] - pure[columns]) / 2
    second = jnp.zeros((dim, *pure.shape), pure.dtype)
    second = second.at[np.arange(dim), np.arange(dim)].set(pure)
    return value, first[:dim], second.at[rows, columns].set(mixed).at[columns, rows].set(mixed)


def biharmonic(u: Function, x: jax.Array, *, axes: Sequence[int] | None = None) -> jax.Array:
    r"""Δ²u at one point, by fourth derivatives along axes and diagonals.

    .. math::
      \Delta^2 u = \sum_i \Big(1 - \frac{d - 1}{3}\Big) D^4[e_i]
        + \frac16 \sum_{i < j} \big( D^4[e_i + e_j] + D^4[e_i - e_j] \big)

    Args:
      u: A network, or any function of one point. Through a network that declares ``supports_jets`` the sum
        of the fourth derivatives is propagated, not each of them.
      x: The point, shape (d,). In float32 fourth derivatives keep few digits.
      axes: Numbers of the coordinates over which the sums go, e.g. those of space; None for all.

    Returns:
      Δ²u of shape (m,).

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns import biharmonic
      >>> print(biharmonic(lambda x: x[0] ** 2 * x[1] ** 2, jnp.array([2.0, 3.0])).round(4))
      8.0

    References:
      Griewank, Utke and Walther, Evaluating higher derivative tensors by forward propagation of univariate
      Taylor series, 2000.
    """
    one = _unit_vectors(axes, x)
    dim = len(one)
    rows, columns = np.triu_indices(dim, 1)
    directions = np.concatenate([one, one[rows] + one[columns], one[rows] - one[columns]])
    weights = np.concatenate([np.full(dim, 1 - (dim - 1) / 3), np.full(2 * len(rows), 1 / 6)])
    chosen = as_directions(directions, x)
    return along(u, x, 4, chosen, collapsed=True, weights=jnp.asarray(weights, chosen.dtype))[-1][0]


def _unit_vectors(axes: Sequence[int] | None, x: jax.Array) -> np.ndarray:
    dim = as_directions(axes, x).shape[1]  # which checks the numbers
    return np.eye(dim) if axes is None else np.eye(dim)[np.asarray(axes)]

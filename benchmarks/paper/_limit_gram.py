"""What Theorem 1 is about: data on a sphere, their limit Gram matrix (Eq. 17) and the width it asks for."""

import jax
import jax.numpy as jnp
import numpy as np

ACTIVATIONS = {"erf": jax.scipy.special.erf, "tanh": jnp.tanh, "softplus": jax.nn.softplus}
SAMPLES = 1_000_000


def sphere_data(seed: int, num_points: int, dim: int) -> tuple[jax.Array, jax.Array]:
    """Points on the unit sphere, no two of them parallel, and values in [−1, 1]."""
    points, values = jax.random.split(jax.random.fold_in(jax.random.key(0), seed))
    x = jax.random.normal(points, (num_points, dim), jnp.float64)
    x = x / jnp.linalg.norm(x, axis=1, keepdims=True)
    return x, jax.random.uniform(values, (num_points,), jnp.float64, minval=-1.0)


def limit_gram(x: jax.Array, activation: str, key: jax.Array) -> tuple[jax.Array, float]:
    r"""H^∞ (Eq. 17) and the largest standard error of its entries, 0 in closed form.

    For σ = erf, whose slope is a Gaussian,
    E σ'(wᵀx)σ'(wᵀz) = (4/π)/√((1 + 2|x|²)(1 + 2|z|²) − 4(xᵀz)²).
    """
    products = x @ x.T
    if activation == "erf":
        squares = 1 + 2 * jnp.diagonal(products)
        mean = 4 / jnp.pi / jnp.sqrt(squares[:, None] * squares[None] - 4 * products**2)
        return products * mean, 0.0
    slope = jax.vmap(jax.vmap(jax.grad(ACTIVATIONS[activation])))
    slopes = slope(jax.random.normal(key, (SAMPLES, x.shape[1]), x.dtype) @ x.T)
    mean, square = slopes.T @ slopes / SAMPLES, (slopes**2).T @ slopes**2 / SAMPLES
    error = jnp.abs(products) * jnp.sqrt((square - mean**2) / SAMPLES)
    return products * mean, float(jnp.max(error))


def required_width(smallest: float, num_points: int, delta: float = 0.1) -> float:
    """The theorem's m for C = 1, max{16N²/λ² log(2N/δ), 16N⁴/λ⁴}."""
    first = 16 * num_points**2 / smallest**2 * np.log(2 * num_points / delta)
    return float(max(first, 16 * num_points**4 / smallest**4))

"""The spectrum of the Hessian of a loss."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike

from isgd_optax._checks import check_count
from isgd_optax._norms import sum_dtype
from isgd_optax._proximal import Loss

_ROUNDING = 10  # rounding errors, of the largest number so far


class HessianSpectrum(NamedTuple):
    """What Lanczos finds out about the eigenvalues of a Hessian.

    Attributes:
      eigenvalues: The Ritz values of each probe, in increasing order, shape (probes, steps). The first and
        the last ones of a row converge to the extreme eigenvalues.
      weights: The share of the spectrum near each, shape (probes, steps); each row sums to 1. Where a probe
        has found all that there is (to rounding of the largest) in fewer steps, the others repeat its
        largest value with weight 0.
    """

    eigenvalues: jax.Array
    weights: jax.Array

    @property
    def smallest(self) -> jax.Array:
        """The smallest Ritz value, an upper bound of the smallest eigenvalue."""
        return jnp.min(self.eigenvalues)

    @property
    def largest(self) -> jax.Array:
        """The largest Ritz value, a lower bound of the largest eigenvalue."""
        return jnp.max(self.eigenvalues)

    def cumulative(self, values: ArrayLike) -> jax.Array:
        """The estimated share of eigenvalues that are at most ``values``, of the same shape."""
        values = jnp.asarray(values)
        below = self.eigenvalues.reshape(-1)[None] <= values.reshape(-1)[:, None]
        shares = jnp.sum(jnp.where(below, self.weights.reshape(-1)[None], 0), axis=1)
        return (shares / self.eigenvalues.shape[0]).reshape(values.shape)


def hessian_spectrum(
    value_fn: Loss,
    params: optax.Params,
    key: jax.Array,
    *,
    num_steps: int | None = None,
    num_probes: int = 1,
) -> HessianSpectrum:
    """Extreme eigenvalues and density of ∇²L by Lanczos with full reorthogonalisation.

    Costs ``num_probes · num_steps`` Hessian-vector products, each about two gradients, and memory for
    ``num_steps`` vectors like the parameters. Needs the package matfree.

    Args:
      value_fn: The loss L, any function of the parameters.
      params: The parameters at which the Hessian is taken, P numbers in all.
      key: The random key of the probe vectors; not the one that the parameters were initialised with,
        since the density is right only for probes independent of them.
      num_steps: The number of Lanczos steps, at most P; by default 80, or P if that is less.
      num_probes: The number of random vectors that the density is averaged over.

    Returns:
      A :class:`HessianSpectrum`.

    Raises:
      ImportError: The package matfree is not installed.
      ValueError: A number is below 1 or no whole one, or there are more steps than parameters.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> from isgd_optax import diagnostics
      >>> curvatures = jnp.array([-1.0, 2.0, 30.0])
      >>> loss = lambda p: 0.5 * jnp.sum(curvatures * p**2)
      >>> spectrum = diagnostics.hessian_spectrum(loss, jnp.zeros(3), jax.random.key(0), num_steps=3)
      >>> [round(float(eigenvalue), 3) for eigenvalue in spectrum.eigenvalues[0]]
      [-1.0, 2.0, 30.0]

    References:
      Ghorbani, Krishnan and Xiao, An investigation into neural net optimization via Hessian eigenvalue
      density, 2019.
    """
    try:
        from matfree import decomp
    except ImportError as error:
        raise ImportError("hessian_spectrum needs matfree: pip install 'isgd-optax[diagnostics]'.") from error
    given, unravel_given = ravel_pytree(params)
    flat = given.astype(sum_dtype(given.dtype))  # of half precision no eigenvalues are offered
    unravel = lambda v: unravel_given(v.astype(given.dtype))
    length: int = check_count("num_steps", min(80, flat.size) if num_steps is None else num_steps, 1)
    if length > flat.size:
        raise ValueError(f"num_steps must be at most the {flat.size} parameters, got {length}.")
    num_probes = check_count("num_probes", num_probes, 1)
    grad = jax.grad(lambda p: jnp.asarray(value_fn(unravel(p))))
    product = lambda v: jax.jvp(grad, (flat,), (v,))[1]
    lanczos = decomp.tridiag_sym(length, reortho="full")

    def probe(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        vector = jax.random.normal(key, flat.shape, flat.dtype)
        values, vectors = _until_exhausted(jnp.asarray(lanczos(product, vector).J_small))
        return values, jnp.square(vectors[0])

    return HessianSpectrum(*jax.lax.map(probe, jax.random.split(key, num_probes)))


def _until_exhausted(tridiagonal: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Eigenvalues and vectors without the steps after the first residue that is rounding alone.

    They begin with that residue, normalised, and need not belong to the spectrum.
    """
    diagonal, beside = jnp.diag(tridiagonal), jnp.diag(tridiagonal, 1)
    largest = jax.lax.cummax(jnp.maximum(jnp.abs(diagonal[:-1]), beside))
    # Once false it stays so, for what is no number too.
    going_on = jnp.cumprod(beside > _ROUNDING * jnp.finfo(beside.dtype).eps * largest).astype(bool)
    kept = jnp.concatenate([jnp.ones(1, bool), going_on])
    diagonal, beside = jnp.where(kept, diagonal, 0), jnp.where(going_on, beside, 0)
    # What is left out becomes an eigenvalue beyond all others (by Gershgorin), and so the last ones.
    beyond = 3 * jnp.max(jnp.abs(jnp.concatenate([diagonal, beside])))
    within = jnp.diag(jnp.where(kept, diagonal, beyond)) + jnp.diag(beside, 1) + jnp.diag(beside, -1)
    values, vectors = jnp.linalg.eigh(within)
    number = jnp.sum(kept)
    found = jnp.arange(kept.size) < number
    return jnp.where(found, values, values[number - 1]), jnp.where(found, vectors, 0)

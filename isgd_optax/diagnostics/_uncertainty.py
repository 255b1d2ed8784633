"""Estimates with their covariance and intervals."""

from typing import Any, Generic, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import betainc, ndtri

_RANGE = 80.0  # of log(t²/ν), on both sides of 0
_HALVINGS = 60  # of that range: down to rounding

Tree = TypeVar("Tree")


class Covariance(NamedTuple, Generic[Tree]):
    """Chosen parameters with the uncertainty that noise gives them.

    Attributes:
      estimate: The chosen parameters.
      standard_error: The standard error of each, a pytree like ``estimate``; infinite where the residuals
        do not determine it.
      covariance: Shape (q, q), in the order of the leaves of ``estimate``; infinite, with its sign, among
        parameters that are not determined.
      noise_std: The standard deviation of the noise before any weight by the name of its block, a number or
        one for each point; infinite where no residual is left to estimate it.
      degrees_of_freedom: The degrees of freedom of the estimate of the noise; infinite where the noise was
        given. Where several blocks have variances of their own, those of each parameter, a pytree like
        ``estimate``.
      step_left: The step that the linear model asks for, a pytree like ``estimate``: at a minimum it is zero.
        Where it is no small part of the standard error, that tells nothing yet.
    """

    estimate: Tree
    standard_error: Tree
    covariance: jax.Array
    noise_std: dict[str, jax.Array]
    degrees_of_freedom: Any
    step_left: Any = ()

    def intervals(self, level: float = 0.95) -> tuple[Tree, Tree]:
        """Both ends of each parameter's interval, two pytrees like ``estimate``.

        They are estimate ∓ t · standard error with the quantile t of Student's distribution.

        Args:
          level: The probability that an interval covers the true value, between 0 and 1.

        Returns:
          The lower and the upper ends.

        Raises:
          ValueError: A level that is not between 0 and 1.
        """
        if not 0 < level < 1:
            raise ValueError(f"level must lie between 0 and 1, got {level}.")
        quantiles = jax.tree.map(lambda freedom: student_quantile(level, freedom), self.degrees_of_freedom)
        if jax.tree.structure(quantiles) != jax.tree.structure(self.standard_error):
            quantiles = jax.tree.map(lambda _: quantiles, self.standard_error)
        # An infinite error times any quantile is infinite, also where the quantile is.
        half = jax.tree.map(
            lambda e, t: jnp.where(e == 0, 0, t * jnp.where(e == 0, 1, e)), self.standard_error, quantiles
        )
        return (
            jax.tree.map(lambda x, h: x - h, self.estimate, half),
            jax.tree.map(lambda x, h: x + h, self.estimate, half),
        )

    def undetermined(self) -> tuple[str, ...]:
        """The names of the parameters with an infinite standard error, as paths into ``estimate``.

        Not under ``jax.jit``. An array of which only some elements are undetermined has their indices.
        """
        names = []
        for path, error in jax.tree_util.tree_leaves_with_path(self.standard_error):
            infinite, name = np.isinf(np.asarray(error)), jax.tree_util.keystr(path)
            if infinite.all():
                names.append(name)
            else:
                names += [f"{name}[{', '.join(map(str, at))}]" for at in np.argwhere(infinite)]
        return tuple(names)


def student_quantile(level: float, degrees_of_freedom: jax.Array) -> jax.Array:
    """The t with P(|T| ≤ t) = ``level``; the normal one's for infinite degrees, infinite for none."""
    dtype = degrees_of_freedom.dtype
    normal = jnp.isinf(degrees_of_freedom)
    some = degrees_of_freedom > 0
    freedom = jnp.where(some & ~normal, degrees_of_freedom, 1)
    half = jnp.asarray(0.5, dtype)

    def halve(_: int, ends: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = ends
        middle = (low + high) / 2
        # P(|T| > t) where it is the smaller one, else P(|T| ≤ t): neither is lost near 1.
        tail = betainc(freedom / 2, half, jax.nn.sigmoid(-middle)) < 1 - level
        body = betainc(half, freedom / 2, jax.nn.sigmoid(middle)) > level
        above = jnp.where(middle > 0, tail, body)
        return jnp.where(above, low, middle), jnp.where(above, middle, high)

    ends = jnp.full_like(freedom, -_RANGE), jnp.full_like(freedom, _RANGE)
    low, _ = jax.lax.fori_loop(0, _HALVINGS, halve, ends)
    student = jnp.where(some, jnp.sqrt(freedom) * jnp.exp(low / 2), jnp.inf)
    return jnp.where(normal, ndtri(jnp.asarray((1 + level) / 2, dtype)), student)

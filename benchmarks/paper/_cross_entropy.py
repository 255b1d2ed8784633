"""Cross-entropy for Gauss–Newton: the generalised Gauss–Newton matrix as a sum of squares."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from isgd_optax import LeastSquares, Residual
from pinns.problems import NetworkResidual

_LEAST_LOG = -60.0  # of a probability: its root is divided by


class CrossEntropy(Residual):
    """A block whose loss is the mean softmax cross-entropy, and whose residuals serve for its steps alone.

    With p the probabilities at the logits z, e the labels' unit vectors and S = diag(√p) − p√pᵀ, the
    Hessian of the cross-entropy in z is SSᵀ and its gradient p − e = Sρ with ρ = √p − e/√p. The residuals
    (ρ + Sᵀ(z − z₀))/√2, z₀ the logits where they are linearised, have the cross-entropy's gradient
    2Jᵀr and the generalised Gauss–Newton matrix 2JᵀJ.
    """

    def __call__(self, params: Any) -> jax.Array:
        """mean_i −log p_i[label_i]."""
        assert isinstance(self.fn, NetworkResidual)
        network, points = self.fn.network(params), self.points
        logits = jax.vmap(lambda point: _logits(network, point))(points)
        return optax.softmax_cross_entropy_with_integer_labels(logits, points["label"]).mean()


def _logits(network: Any, point: Any) -> jax.Array:
    return network(point["image"])


def _residual(network: Any, point: Any) -> jax.Array:
    logits = _logits(network, point)
    fixed = jax.lax.stop_gradient(logits)
    log_p = jnp.maximum(jax.nn.log_softmax(fixed), _LEAST_LOG)
    root = jnp.exp(log_p / 2)
    away = logits - fixed
    label = jax.nn.one_hot(point["label"], logits.size, dtype=logits.dtype)
    linear = root * (away - jnp.sum(root * root * away))
    return (root - label / root + linear) / jnp.sqrt(2.0)


def cross_entropy(model: nnx.Module, images: jax.Array, labels: jax.Array) -> LeastSquares:
    """The mean cross-entropy of ``model`` as a function of its parameters.

    Args:
      model: a network from images to logits.
      images: shape (N, pixels).
      labels: shape (N,).
    """
    graphdef, _, rest = nnx.split(model, nnx.Param, ...)
    fn = NetworkResidual(graphdef, rest, _residual)
    return LeastSquares(CrossEntropy(fn, {"image": images, "label": labels}))

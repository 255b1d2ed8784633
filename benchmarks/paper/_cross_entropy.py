"""The softmax cross-entropy of a classifier, as a loss of its logits."""

import functools
from typing import Any

import jax
import optax
from flax import nnx

from isgd_optax import LeastSquares, Residual


def _logits(graphdef: Any, rest: Any, params: Any, point: Any) -> jax.Array:
    return nnx.merge(graphdef, params, rest)(point["image"])


def _loss(logits: jax.Array, point: Any) -> jax.Array:
    return optax.softmax_cross_entropy_with_integer_labels(logits, point["label"])


def cross_entropy(model: nnx.Module, images: jax.Array, labels: jax.Array) -> LeastSquares:
    """The mean cross-entropy of ``model`` as a function of its parameters.

    Args:
      model: a network from images to logits.
      images: shape (N, pixels).
      labels: shape (N,).
    """
    graphdef, _, rest = nnx.split(model, nnx.Param, ...)
    fn = jax.tree_util.Partial(functools.partial(_logits, graphdef), rest)
    return LeastSquares(Residual(fn, {"image": images, "label": labels}, loss=_loss))

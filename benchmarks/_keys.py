"""Random keys of an experiment that are independent of its network's."""

import jax

# nnx.Rngs(seed) draws from fold_in(key(seed), 0), fold_in(key(seed), 1), ..., and split(key(seed))[0] is the
# first of them: points drawn from key(seed) itself are a monotone map of the first layer's weights.
_DATA = 2_000_003


def data_key(seed: int) -> jax.Array:
    """The key of points and mini-batches; never one that ``nnx.Rngs(seed)`` draws from.

    Args:
      seed: Seed of the experiment, from which its network is initialised too.

    Examples:
      >>> from flax import nnx
      >>> bool((data_key(0) == nnx.Rngs(0).params()).all())
      False
    """
    return jax.random.fold_in(jax.random.key(seed), _DATA)

from typing import NamedTuple
import jax, jax.numpy as jnp
from jax.flatten_util import ravel_pytree
class LeafFactors(NamedTuple):
    rows: jax.Array
def block_factors(fn, params, points, basis=None):
    raise NotImplementedError

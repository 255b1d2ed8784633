"""Whether one part of a domain ends at another, also where the wall between them is hard to find."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from scipy.spatial import KDTree

from pinns._regions._region import Domain

_POINTS = 2**13
_WAYS = 64
_HALVINGS = 30


def meets(domain: Domain, one: Callable[..., jax.Array], other: Callable[..., jax.Array]) -> bool:
    """Whether a way between neighbouring points of two parts leads from the one right into the other.

    The straight ways between the nearest of drawn points are halved until their ends are next to each other;
    what leads through anything else than the two parts is no such way.

    Args:
      domain: The domain.
      one: Whether a point of it, shape (d,), belongs to the first part; can be traced.
      other: Whether it belongs to the second, which has no point in common with the first.
    """
    within = [jax.jit(jax.vmap(part)) for part in (one, other)]
    with jax.ensure_compile_time_eval():
        dtype = jax.dtypes.canonicalize_dtype(jnp.float64)
        drawn = domain.sample(jax.random.key(0), _POINTS, "sobol", dtype)
        begin, end = (np.asarray(drawn)[np.asarray(is_in(drawn))] for is_in in within)
        if not (len(begin) and len(end)):
            return False
        distances, nearest = map(np.asarray, KDTree(end).query(begin))
        shortest = np.resize(np.argsort(distances)[:_WAYS], _WAYS)
        begin, end = jnp.asarray(begin[shortest]), jnp.asarray(end[nearest[shortest]])
        leads = jnp.ones(_WAYS, bool)
        for _ in range(_HALVINGS):
            middle = (begin + end) / 2
            in_one, in_other = (is_in(middle) for is_in in within)
            begin = jnp.where(in_one[:, None], middle, begin)
            end = jnp.where(in_other[:, None], middle, end)
            leads &= in_one | in_other
        return bool(leads.any())

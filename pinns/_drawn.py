"""Whether points are drawn by JAX: what NumPy draws is a constant of the compiled training."""

from collections.abc import Callable, Mapping
from typing import Any

import jax

from pinns._identity import of_user
from pinns._samplers import SAMPLERS, as_sampler
from pinns._sampling import Sampling
from pinns._traces import trace_digest
from pinns._warnings import warn_at_caller
from pinns.problems import Problem
from pinns.problems._base import conditions_of


def check_drawn(
    problem: Problem, sampling: Sampling, numbers: Mapping[str, int], key: jax.Array, dtype: Any
) -> None:
    """Looks whether a sampler, or a region, of the user draws its points by NumPy instead of from the key.

    Warns where points are drawn once.

    Raises:
      ValueError: They are to be drawn anew, in the compiled training, where they would stay the same.
    """
    sampler = as_sampler(sampling.method)
    own_sampler = sampler not in SAMPLERS.values()
    outside = {}
    for name, condition in conditions_of(problem).items():
        region, number = condition.region, numbers[name]
        draw = lambda key, r=region, n=number: r.sample(key, n, sampler, dtype)
        if (own_sampler or of_user(region)) and _drawn_outside(draw, key):
            outside[name] = region
    if not outside:
        return
    unit = lambda key: sampler(key, max(numbers.values()), problem.domain.dim, dtype)
    by_sampler = own_sampler and _drawn_outside(unit, key)
    names = ", ".join(map(repr, outside))
    by = f"method={sampler!r}" if by_sampler else ", ".join(sorted({str(r) for r in outside.values()}))
    drawn = f"the points of condition {names} are drawn outside of JAX, by NumPy or SciPy in {by}: "
    advice = (
        "Draw from the key that it is given, by jax.random; or call NumPy by jax.pure_callback, with a seed "
        "made from the key; or give points that stay as FixedPoints."
    )
    if sampling.interval is not None:
        raise ValueError(
            f"{drawn}the compiled training holds them as constants, and would see the same ones whenever it "
            f"draws anew (every {sampling.interval} steps). {advice}"
        )
    warn_at_caller(
        f"{drawn}key does not determine them, and fresh_loss sees the same ones at every evaluation. {advice}"
    )


def _drawn_outside(draw: Callable[[jax.Array], Any], key: jax.Array) -> bool:
    """Whether two traces of the same function hold other numbers."""
    return trace_digest(draw, key) != trace_digest(draw, key)

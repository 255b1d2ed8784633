"""What the Gram matrix takes from factors and from rows of J."""

from collections.abc import Sequence
from typing import NamedTuple

import jax

from isgd_optax._gauss_newton._factors import LeafFactors

# An element of the two tables of products that are multiplied and summed over pairs of streams takes as long
# as this many multiplications and additions of the products themselves. By the platform; fitted on two cores
# in float64 to the time of K of one square matrix, N = 1,000, by rows and by factors: of widths 30 to 200 and
# 2 to 12 streams all but one of 12 pairs are decided rightly, and ties for factors, which take less memory.
# On an H200 it is right on 7 of 9 pairs and loses at most 0.2 ms on the others: no number of its own yet.
_ELEMENTWISE_COST = {"cpu": 75}


class Costs(NamedTuple):
    """What forming K takes.

    Attributes:
      num_factors: Numbers held in all factors.
      largest_layer: Columns of J that are formed on the way to K.
      flops: Operations.
    """

    num_factors: int
    largest_layer: int
    flops: float


def costs(blocks: Sequence[Sequence[LeafFactors]], weighted: Sequence[bool] | None = None) -> Costs:
    """What the Gram matrix of blocks of residuals takes; of the factors only the shapes matter.

    Args:
      blocks: Each block's factors by leaf of the parameters.
      weighted: See :func:`forms_rows`, by leaf.
    """
    num_rows = sum(n * m for n, m in (next(f.shape for f in block if f.used) for block in blocks))
    num_factors = sum(leaf.size for leaf in jax.tree.leaves(list(blocks)))
    columns, flops = 0, 0.0
    weighted = [False] * len(blocks[0]) if weighted is None else weighted
    for leaves, by_number in zip(zip(*blocks, strict=True), weighted, strict=True):
        if not any(leaf.used for leaf in leaves):
            continue
        if forms_rows(leaves, by_number):
            columns += leaves[0].size
            flops += num_rows**2 * leaves[0].size
        else:
            flops += _factor_cost(leaves)
    return Costs(num_factors, columns, flops)


def forms_rows(leaves: Sequence[LeafFactors], weighted: bool = False) -> bool:
    """Whether a leaf's rows of J are cheaper to multiply than products of its factors are to sum.

    Args:
      leaves: The leaf's factors in each block.
      weighted: Whether the metric has a number for each of its numbers, which products cannot take.
    """
    # An array may be a matrix of one shape in a block and of another in the next.
    if weighted or any(leaf.rows is not None for leaf in leaves) or len(_matrix_shapes(leaves)) != 1:
        return True
    num_rows = sum(leaf.shape[0] * leaf.shape[1] for leaf in leaves if leaf.used)
    return _factor_cost(leaves) >= float(num_rows) ** 2 * leaves[0].size


def _matrix_shapes(leaves: Sequence[LeafFactors]) -> set[tuple[int, int]]:
    sizes = [(p.inputs.shape[2], p.cotangents.shape[3], p.input_axis) for f in leaves for p in f.products]
    return {(given, out) if axis == 0 else (out, given) for given, out, axis in sizes}


def _factor_cost(leaves: Sequence[LeafFactors]) -> float:
    """Operations that products of one leaf's factors take, in all blocks."""
    used = [leaf for leaf in leaves if leaf.products]
    width = used[0].products[0].inputs.shape[2] + used[0].products[0].cotangents.shape[3]
    streams = sum(leaf.shape[0] * leaf.shape[1] * _num_streams(leaf) for leaf in used)
    return float(streams) ** 2 * (width + _elementwise_cost())


def _num_streams(leaf: LeafFactors) -> int:
    return sum(p.inputs.shape[1] for p in leaf.products)


def _elementwise_cost() -> float:
    return _ELEMENTWISE_COST.get(jax.default_backend(), _ELEMENTWISE_COST["cpu"])

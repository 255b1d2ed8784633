"""The check that every parameter has factors, for ``kernel="layers"``."""

from typing import TYPE_CHECKING

import jax
import optax

from isgd_optax._gauss_newton import _factors
from isgd_optax._gauss_newton._residual_checks import a_point

if TYPE_CHECKING:
    from isgd_optax._gauss_newton._losses import LeastSquares


def check_factors(loss: "LeastSquares", params: optax.Params) -> None:
    """Raises ValueError that names the parameters that are no matrix of a product or added vector."""
    missing: dict[str, str] = {}
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    for name, block in zip(loss.names, loss.blocks, strict=True):
        point = a_point(block.points)
        for path, way in zip(paths, _factors.leaf_ways(block.fn, params, point), strict=True):
            if way.rows:
                missing.setdefault(f"params{path}", f"{way.reason} in {name!r}")
    if missing:
        listed = "; ".join(f"{path} ({reason})" for path, reason in missing.items())
        raise ValueError(
            "kernel='layers' needs every parameter to be the matrix of a product or an added vector; "
            f"these enter otherwise: {listed}. With kernel='auto' they are given rows of J, others are not."
        )

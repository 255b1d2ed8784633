"""Checks that a loss is the least-squares loss that its blocks say."""

from typing import Any

import optax

from isgd_optax._gauss_newton._losses import LeastSquares, Residual
from isgd_optax._gauss_newton._residual_checks import check_derivatives

_SAY_THE_LOSS = (
    "__call__",
    "evaluate",
    "total",
    "residuals",
    "models",
    "scale",
    "block_weight",
    "num_points",
)


def checked_least_squares(loss: Any, params: optax.Params) -> LeastSquares:
    """``loss``, if Gauss–Newton steps are those of this loss, else a TypeError."""
    if not isinstance(loss, LeastSquares):
        raise TypeError(
            "gauss_newton needs the loss as a sum of squares that remembers its residuals: pass a "
            f"LeastSquares of Residual blocks as value_fn, not {loss!r}. Other losses: optax.lbfgs()."
        )
    check_not_overridden(loss)
    for block in loss.blocks:
        check_derivatives(block.fn, params, block.points)
    return loss


def check_not_overridden(loss: LeastSquares) -> None:
    """Raises TypeError for subclasses with another loss than their residuals, which alone are used."""
    for part, base in ((loss, LeastSquares), *((block, Residual) for block in loss.blocks)):
        own = [n for n in _SAY_THE_LOSS if getattr(type(part), n, None) is not getattr(base, n, None)]
        if own:
            raise TypeError(
                f"{type(part).__name__} overrides {', '.join(own)} of {base.__name__}, and its residuals no "
                "longer say what the loss is. A penalty is one more Residual, with loss=... if it is no "
                "square; other losses: optax.lbfgs()."
            )

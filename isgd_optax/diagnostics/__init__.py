"""Measurements of the stiffness of a loss and of what implicit steps make of it.

What is dear in them is compiled; none of them is part of a training step.
"""

from isgd_optax.diagnostics._contraction import Contraction, contraction
from isgd_optax.diagnostics._covariance import covariance
from isgd_optax.diagnostics._error_estimate import ErrorEstimate, error_estimate
from isgd_optax.diagnostics._gram import gram_matrix, gram_spectrum
from isgd_optax.diagnostics._hessian import HessianSpectrum, hessian_spectrum
from isgd_optax.diagnostics._loss_decay import LossDecay, loss_decay
from isgd_optax.diagnostics._noise import NoiseStd
from isgd_optax.diagnostics._uncertainty import Covariance

__all__ = [
    "Contraction",
    "Covariance",
    "ErrorEstimate",
    "HessianSpectrum",
    "LossDecay",
    "NoiseStd",
    "contraction",
    "covariance",
    "error_estimate",
    "gram_matrix",
    "gram_spectrum",
    "hessian_spectrum",
    "loss_decay",
]

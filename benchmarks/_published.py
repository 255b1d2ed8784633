"""What others have published on the field's problems, with source, hardware and what it rests on."""

from typing import NamedTuple


class Published(NamedTuple):
    """The best error that was found in print.

    Args:
      error: The relative L2 error.
      seconds: Of training, where it is told.
      source: Who, and where.
      hardware: On what, where it is told.
      remark: What has to be known to compare it.
    """

    error: float
    seconds: float | None
    source: str
    hardware: str = ""
    remark: str = ""


_DSGNAR = "Webb, Jerad and Cartis, DSGNAR, arXiv:2607.02194"
_H100 = "one H100"
_RATHORE = "Rathore et al., NNCG, arXiv:2402.01868"
PUBLISHED = {
    "burgers": Published(
        4.9e-9,
        None,
        "vRBA with SSBroyden, stored outputs of its repository",
        remark="64,000 to 76,000 iterations; jaxpi's reference file is itself off by 4.0e-5",
    ),
    "wave": Published(1.2e-15, 635.0, _DSGNAR, _H100, "two slabs of time, 11,225 parameters"),
    "convection": Published(1.9e-3, None, _RATHORE, "Titan V", "network of width 200"),
    "reaction": Published(9.9e-3, None, _RATHORE, "Titan V", "network of width 200"),
    "kdv": Published(8.2e-11, 1210.0, _DSGNAR, _H100, "four slabs of time, 11,285 parameters"),
    "cavity": Published(
        1.1e-4, 403.0, _DSGNAR, _H100, "with the parabolic lid, whose corners limit it; ours is 16x²(1−x)²"
    ),
    "poisson_nd": Published(
        2.6e-7,
        7000.0,
        "SPRING, Guzmán-Cordero et al., arXiv:2505.12149",
        remark="tanh network of 10,065 parameters; 3.0e-16 with a sum of Gabor waves (DSGNAR)",
    ),
    "helmholtz_periodic": Published(
        2.0e-9,
        540.0,
        "SPRING, Jnini et al., arXiv:2604.05230",
        "a GPU",
        "the same network, 30,000 points drawn by the residual",
    ),
    "poisson_multiscale": Published(4.5e-14, 281.0, _DSGNAR, _H100, "sine network with Fourier features"),
}

"""Reference solutions of our own, each with the figure to which two computations of it agree.

``python -m benchmarks.references NAME --out FILE.npz`` makes a table; with ``--coefficients`` it makes the
series that the package ``pinns`` keeps for its problems.
"""

from benchmarks.references._recipes import RECIPES, Recipe
from benchmarks.references._table import Table, difference
from benchmarks.references.cavity import cavity
from benchmarks.references.cole_hopf import burgers
from benchmarks.references.etdrk4 import periodic
from benchmarks.references.stiff import lorenz, robertson, van_der_pol

__all__ = [
    "RECIPES",
    "Recipe",
    "Table",
    "burgers",
    "cavity",
    "difference",
    "lorenz",
    "periodic",
    "robertson",
    "van_der_pol",
]

"""Slabs of problems that were not written for them: other coordinates, own regions, unknowns without data."""

import dataclasses
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from pinns import MLP, Box, Condition, FitWarning, FixedPoints, Problem, Unknown, fit_in_slabs, gradient
from pinns._past import _Joined

KEY = jax.random.key(0)
BOX = Box((0.0, 0.0), (1.0, 4.0))


def slabs(problem, model, **options):
    options |= {"num_steps": 3, "key": KEY, "progress": False, "fresh_loss": False, "slabs": 2}
    return fit_in_slabs(problem, model, optax.adam(1e-2), **options)


@dataclasses.dataclass(frozen=True)
class Diffusing(Problem):
    """u_t = k(x) with k a network of x alone."""

    axis_names = ("x", "t")
    domain = BOX

    def conditions(self):
        return {
            "pde": Condition(self.pde, self.domain, 20),
            "start": Condition(lambda u, x: u["u"](x) - x[:1], self.domain.face(1, "lower"), 5),
        }

    def pde(self, u, x):
        return gradient(u["u"], x)[1][1] - u["k"](x[:1])


def test_a_network_of_other_coordinates_is_trained_in_every_slab():
    model = {"u": MLP(2, [4], 1, rngs=nnx.Rngs(0)), "k": MLP(1, [4], 1, rngs=nnx.Rngs(1))}
    result = slabs(Diffusing(), model)
    assert result.finished
    before, after = (jax.tree.leaves(r.params["k"]) for r in result.results)
    assert all(np.any(a != b) for a, b in zip(before, after, strict=True))


def test_joined_networks_take_several_points_at_once():
    joined = _Joined([lambda x: 0 * x[..., :1], lambda x: 1 + 0 * x[..., :1]], [0.5], 1, 2)
    points = jnp.array([[0.9, 0.1], [0.1, 0.9], [0.3, 0.5]])
    np.testing.assert_array_equal(joined(points)[:, 0], [0.0, 1.0, 1.0])
    np.testing.assert_array_equal(joined(points)[:, 0], jax.vmap(joined)(points)[:, 0])


@pytest.mark.parametrize("fixed", ["pde", "start"])
def test_regions_that_do_not_follow_the_slab_are_refused(fixed):
    @dataclasses.dataclass(frozen=True)
    class Fixed(Problem):
        domain = BOX

        def conditions(self):
            first = BOX if fixed == "pde" else self.domain
            start = BOX if fixed == "start" else self.domain
            return {
                "pde": Condition(lambda u, x: u(x), first, 20),
                "start": Condition(lambda u, x: u(x) - 1, start.face(1, "lower"), 5),
            }

    model = MLP(2, [4], 1, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match=rf"'{fixed}' .*from self\.domain"):
        slabs(Fixed(), model, initial=["start"])


@dataclasses.dataclass(frozen=True)
class Decay(Problem):
    """y' = −k y with k unknown and values up to ``until``."""

    until: float
    domain = Box((0.0,), (4.0,))

    def unknowns(self):
        return {"k": Unknown(2.0)}

    def conditions(self):
        t = np.linspace(0.0, self.until, 8)[:, None]
        return {
            "pde": Condition(lambda u, x: gradient(u, x)[1][0] + u.unknowns["k"] * u(x), self.domain, 16),
            "start": Condition(lambda u, x: u(x) - 1, self.domain.face(0, "lower"), 1),
            "data": Condition(lambda u, p: u(p["x"]) - p["value"], FixedPoints(t, np.exp(-t)), 8, noisy=True),
        }


def test_unknowns_that_move_without_data_are_said():
    for until, number in ((4.0, 0), (1.0, 1)):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            slabs(Decay(until), MLP(1, [4], 1, rngs=nnx.Rngs(0)))
        found = [w for w in said if issubclass(w.category, FitWarning) and "no measurement" in str(w.message)]
        assert len(found) == number
        assert all("from 2 to 4, where k moved" in str(w.message) and w.filename == __file__ for w in found)

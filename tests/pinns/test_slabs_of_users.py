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
from pinns._result import FitResult
from pinns._slabs import _slab

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


@pytest.mark.long
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


@pytest.mark.long
def test_unknowns_that_move_without_data_are_said():
    for until, number in ((4.0, 0), (1.0, 1)):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            slabs(Decay(until), MLP(1, [4], 1, rngs=nnx.Rngs(0)))
        found = [w for w in said if issubclass(w.category, FitWarning) and "no measurement" in str(w.message)]
        assert len(found) == number
        assert all("from 2 to 4, where k moved" in str(w.message) and w.filename == __file__ for w in found)


@pytest.mark.long
def test_a_slab_without_measurements_tells_no_standard_error(x64):
    class Wide(Decay):
        """With a coordinate more, so that the start has points whose spread would tell something."""

        domain = BOX

        def conditions(self):
            found = super().conditions()
            start = Condition(found["start"].residual, self.domain.face(1, "lower"), 12)
            t = np.linspace(0.0, self.until, 8)
            data = FixedPoints(np.stack([0.5 + 0 * t, t], axis=1), np.exp(-t))
            pde = lambda u, x: gradient(u, x)[1][1] + u.unknowns["k"] * u(x)
            changed = {"pde": Condition(pde, self.domain, 16), "start": start}
            return changed | {"data": dataclasses.replace(found["data"], region=data)}

    model = MLP(2, [2], 1, dtype=jnp.float64, rngs=nnx.Rngs(0))
    for until, known in ((4.0, True), (1.0, False)):
        slab = _slab(Wide(until), 1, 2.0, 4.0, ("start",), None, ())
        function, params = slab.functional(model)
        loss = slab.loss(function, slab.sample(KEY, dtype=jnp.float64))
        result = FitResult(model, params, [], "num_steps", 1, 0.0, 0.0, slab, loss)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FitWarning)  # it is not trained
            found = [result.unknowns["k"][1], *result.intervals()["k"]]
        assert np.all(np.isfinite(found)) if known else found == [np.inf, -np.inf, np.inf]
        assert result.unknowns["k"][0] == 2.0

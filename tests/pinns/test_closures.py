"""Networks of values, f(y), beside those of the domain, in slabs of time."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from pinns import MLP, Box, Condition, FixedPoints, Problem, Unknown, fit_in_slabs, gradient
from pinns._closures import Closures, closures
from pinns._dependence import dependences, marked

KEY = jax.random.key(0)
BOX = Box((0.0, 0.0), (1.0, 4.0))
RATES = FixedPoints([[0.0], [0.5], [1.0], [9.0]], [[0.0], [-0.5], [-1.0], [-9.0]])


@dataclasses.dataclass(frozen=True)
class Closed(Problem):
    """y' = f(y) with f a network, and rates at given values."""

    axis_names = ("t",)
    domain = Box((0.0,), (4.0,))

    def conditions(self):
        return {
            "pde": Condition(self.pde, self.domain, 8),
            "start": Condition(lambda u, x: u["y"](x) - 1, self.domain.face(0, "lower"), 1),
            "rates": Condition(lambda u, p: u["f"](p["x"]) - p["value"], RATES, 4),
        }

    def pde(self, u, x):
        y, slope = gradient(u["y"], x)
        return slope[0] - u["f"](y)


def networks(first, second, dim=1):
    make = lambda seed: MLP(dim, [4], 1, rngs=nnx.Rngs(seed))
    return {first: make(0), second: make(1)}


@pytest.mark.long
def test_a_network_of_values_is_trained_in_every_slab_on_all_that_is_given():
    options = {"slabs": 2, "num_steps": 2, "key": KEY, "progress": False, "fresh_loss": False}
    result = fit_in_slabs(Closed(), networks("f", "y"), optax.adam(1e-2), **options)
    before, after = (jax.tree.leaves(nnx.state(r.model["f"])) for r in result.results)
    assert all(np.any(a != b) for a, b in zip(before, after, strict=True))
    # Not those of its time, and 9 is a value: no warning says that it is no time.
    assert [r.loss.blocks[2].num_points for r in result.results] == [4, 4]


class Otherwise(Closed):
    """With another equation, and points at which a network is asked whose arguments are unclear."""

    def unknowns(self):
        return {"delay": Unknown(0.1)}

    def conditions(self):
        both = lambda u, p: u["y"](p["x"]) - u["f"](p["x"])
        return super().conditions() | {"both": Condition(both, RATES, 4)}


def test_networks_of_values_are_told_from_delays():
    model = networks("y", "f")
    assert closures(Otherwise(), model) == Closures(("f",), ("rates",), ("both",))
    with pytest.raises(ValueError, match="'both' asks 'f', elsewhere of what networks compute"):
        fit_in_slabs(Otherwise(), model, optax.sgd(0.1), slabs=2, num_steps=1, key=KEY)

    class Delayed(Otherwise):
        """The solution at a delay of its own, and f at an unknown one: both at times."""

        def pde(self, u, x):
            return u["y"](x - u["y"](x)) - u["f"](x - u.unknowns["delay"])

    assert closures(Delayed(), model) == Closures()
    # In more dimensions what holds one computed coordinate is no place, and fewer coordinates never are.
    at = lambda u, x: u["y"](x) - u["k"](jnp.concatenate([x[:1], u["y"](x)])) + u["k"](x[1:])

    class Wide(Problem):
        domain = BOX

        def conditions(self):
            return {"pde": Condition(at, self.domain, 2)}

    wide = {"y": MLP(2, [4], 1, rngs=nnx.Rngs(0)), "k": (lambda w, x: w * x.sum(keepdims=True), jnp.ones(1))}
    assert closures(Wide(), wide) == Closures(("k",))
    assert closures(Wide(), MLP(2, [4], 1, rngs=nnx.Rngs(0))) == Closures()


def test_dependence_goes_through_loops_and_calls():
    def program(w, x):
        marked(x, "plain")
        _, seen = jax.lax.scan(lambda c, x: (c + w, marked(c, "carried")), 0.0 * x, None, length=3)
        marked(jax.jit(lambda w, x: (w, x))(w, x)[1], "called")
        last = jax.lax.while_loop(lambda c: c[0] < w, lambda c: (c[0] + 1, c[1]), (x, x))
        marked(last[0], "ended")
        marked(jax.lax.cond(x > 0, lambda: w, lambda: x), "branched")
        marked(jax.grad(lambda x: marked(x, "inside") * w)(x), "slope")
        return seen

    found = dependences(jax.make_jaxpr(program)(1.0, 2.0), [True, False])
    moved = {name for name, is_moved in found if is_moved}
    assert moved == {"carried", "ended", "branched", "slope"}
    assert {name for name, is_moved in found if not is_moved} == {"plain", "called", "inside"}

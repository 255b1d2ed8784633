"""What makes a run on disk another one, and what does not."""

import dataclasses
import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from isgd_optax import diagnostics
from pinns import MLP, Box, Condition, Problem, unit_points
from pinns._identity import digest, fingerprint
from pinns._identity_file import differences
from pinns._run_identity import program_identity


@dataclasses.dataclass(frozen=True)
class Heat(Problem):
    """With everything that a user writes as a function."""

    source: object = None
    weight: object = None
    convex: object = None
    region: object = Box((0.0, 0.0), (1.0, 1.0))
    domain = Box((0.0, 0.0), (1.0, 1.0))

    def conditions(self):
        options = {"weight": self.weight or 1.0, "loss": self.convex}
        return {"pde": Condition(self.pde, self.region, 20, **options)}

    def pde(self, u, x):
        return u(x) - (self.source(x) if self.source else 0.0)


def identity(problem=None, optimizer=None, method="uniform"):
    problem = problem or Heat()
    function, params = problem.functional(MLP(2, [4], 1, rngs=nnx.Rngs(0)))
    return program_identity(problem, function, params, optimizer or optax.adam(1e-3), method, jnp.float32)


def table(values):
    values = np.asarray(values, np.float32)

    @jax.jit
    def source(x):
        return jnp.interp(x[0], np.linspace(0, 1, len(values), dtype=np.float32), values)

    return source


class Disk:
    def __init__(self, box, sample):
        self._box, self._sample = box, sample

    def sample(self, key, num_points, method, dtype):
        return self._sample(unit_points(key, num_points, 2, method, dtype))


class Warmup:
    def __init__(self, peak):
        self.peak = peak


class Short(Warmup):
    def __call__(self, n):
        return self.peak * jnp.minimum(1, n / 100)


class Long(Warmup):
    def __call__(self, n):
        return self.peak * jnp.minimum(1, n / 1000)


Long.__qualname__ = Short.__qualname__  # the class of a file that was edited


def slow(n):
    return 1e-3 / (1 + n)


def quick(n):
    return 1e-2 / (1 + n)


quick.__qualname__ = slow.__qualname__


def through(helper):
    """A schedule that calls a function of its module by the name ``decay``."""
    schedule = lambda n: decay(n)  # noqa: F821 - the name is in the globals given below
    return types.FunctionType(schedule.__code__, {"decay": helper}, "schedule")


unit, other = Box((0.0,), (1.0,)), Box((0.0,), (2.0,))
plain, rooted = (lambda s: s), (lambda s: jnp.sqrt(s))
CHANGES = {
    "an array in a jitted function": [{"problem": Heat(table(v))} for v in ([0, 1, 0], [0, 1, 0.5])],
    "the formula of a weight": [
        {"problem": Heat(weight=w)} for w in (lambda x: jnp.exp(-x[1]), lambda x: jnp.exp(x[1]))
    ],
    "the formula of a loss": [
        {"problem": Heat(convex=f)} for f in (lambda r: jnp.log(jnp.cosh(r[0])), lambda r: jnp.cosh(r[0]))
    ],
    "what a region draws": [{"problem": Heat(region=Disk(unit, draw))} for draw in (plain, rooted)],
    "what a region holds": [{"problem": Heat(region=Disk(box, plain))} for box in (unit, other)],
    "what a schedule computes": [{"optimizer": optax.adam(kind(1e-3))} for kind in (Short, Long)],
    "what a schedule calls": [{"optimizer": optax.adam(through(helper))} for helper in (slow, quick)],
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_what_is_computed_is_another_run(name):
    one, changed = CHANGES[name]
    assert identity(**one) == identity(**one)
    assert identity(**one) != identity(**changed)


def test_a_residual_may_hold_a_random_key():
    key = jax.random.key(3)
    assert identity(Heat(lambda x: jax.random.normal(key, ()))) != identity()


def test_an_array_that_another_processor_rounds_otherwise_is_the_same():
    wave = np.sin(2 * np.pi * np.arange(64) / 64)  # its mean is rounding, -2e-17
    shifted = wave * (1 + 1e-7) - 3e-17
    sources = [lambda x, w=w: jnp.interp(x[0], jnp.arange(64.0), jnp.asarray(w)) for w in (wave, shifted)]
    one, same = (identity(Heat(source))["equation"] for source in sources)
    assert one == same


@dataclasses.dataclass(frozen=True)
class WithTable(Problem):
    domain: Box = unit

    def conditions(self):
        return {"pde": Condition(lambda u, x: u(x), self.domain, 5)}

    @functools.cached_property
    def table(self):
        return jnp.asarray(self.domain.upper)


def test_what_is_cached_is_no_change_and_of_its_own_domain():
    problem = WithTable()
    before = fingerprint(problem)
    assert problem.table[0] == 1
    assert fingerprint(problem) == before
    assert problem.restricted(other).table[0] == 2


def test_a_result_in_an_equation_is_told_by_its_solution_not_by_its_seconds(train):
    result = train(optax.adam(1e-2), 2)
    later = dataclasses.replace(
        result, train_seconds=9.0, compile_seconds=9.0, history=[], stop_reason="target"
    )
    assert fingerprint(later) == fingerprint(result)
    moved = dataclasses.replace(result, params=jax.tree.map(lambda p: p + 1, result.params))
    assert fingerprint(moved) != fingerprint(result)


def test_settings_of_printing_modules_and_addresses_do_not_tell():
    model = MLP(1, [4], 1, rngs=nnx.Rngs(0))
    state = nnx.state(model)
    words = lambda: np.array([["".join(["in", "let"]), float("0.1")]], dtype=object)  # new ones each time
    told = [digest([model, state, np, words()])]
    with np.printoptions(precision=1, threshold=2, linewidth=20):
        told.append(digest([model, state, types.ModuleType("numpy"), words()]))
    assert told[0] == told[1]
    others = (MLP(1, [4], 1, rngs=nnx.Rngs(1)), MLP(1, [4], 1, activation=jnp.sin, rngs=nnx.Rngs(0)))
    assert len({digest(network) for network in (model, *others)}) == 3
    assert digest(words()) != digest(np.array([["outlet", 0.1]], dtype=object))


def test_innards_of_libraries_are_their_versions_matter():
    there = {
        "function": "optax._src.alias.adam.<locals>.f",
        "names": ["a"],
        "constants": ["1"],
        "closure": {"b": 1},
    }
    here = there | {"names": ["a", "b"], "constants": []}
    assert differences(there, here) == []
    assert differences(there, here | {"closure": {"b": 2}}) == [("b", 1, 2)]
    mine = {"function": "mine.f"}
    assert differences(there | mine, here | mine)


@pytest.mark.parametrize(
    ("there", "here", "same"),
    [
        ("__main__.Heat", "heat.Heat", True),
        ("project.heat.Heat", "__main__.Heat", True),
        ("__main__.Heat", "heat.Cold", False),
        ("heat.Heat", "cold.Heat", False),
    ],
)
def test_a_script_or_notebook_and_a_module_name_the_same_class(there, here, same):
    assert (differences({"type": there}, {"type": here}) == []) == same


def test_what_is_compiled_for_a_code_is_not_found_for_another():
    """IPython's autoreload exchanges the code of a function and keeps the function."""
    residual, other = (lambda self, u, x: u(x)), (lambda self, u, x: 2 * u(x))
    problem = type("Edited", (Heat,), {"pde": residual})()
    model = MLP(2, [4], 1, rngs=nnx.Rngs(0))
    loss = lambda: problem.loss(model, {"pde": jnp.ones((3, 2))})
    gram = lambda: diagnostics.gram_matrix(loss(), nnx.state(model, nnx.Param))
    before = gram()
    residual.__code__ = other.__code__
    np.testing.assert_allclose(gram(), 4 * before, rtol=1e-5)

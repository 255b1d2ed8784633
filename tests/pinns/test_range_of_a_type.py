"""Numbers that a type holds, and whose squares it does not."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pinns import Box, Condition, FitWarning, Problem, errors, errors_by_output, gradient, scaled


@pytest.mark.parametrize(
    ("dtype", "size"), [(jnp.float32, 1e-24), (jnp.float32, 1e20), (jnp.float16, 1e3), (jnp.float16, 1e-4)]
)
def test_relative_errors_do_not_depend_on_the_unit(dtype, size):
    exact = jnp.asarray([[size, 2 * size]] * 9, dtype)
    other = exact * jnp.asarray([[2.0, 1.0]], dtype)
    found = errors(other, exact)
    np.testing.assert_allclose(found.rel_l2, 1 / np.sqrt(5), rtol=1e-2 if dtype == jnp.float16 else 1e-6)
    by_output = errors_by_output(other, exact, ("u", "v"))
    assert (float(by_output["u"]), float(by_output["v"])) == (1.0, 0.0)
    assert float(errors(exact, 0 * exact).rel_l2) == np.inf
    assert float(errors(0 * exact, 0 * exact).rel_l2) == 0


@dataclasses.dataclass(frozen=True)
class InUnits(Problem):
    """u = 1, in a unit of its own."""

    size: float
    domain = Box((0.0,), (1.0,))

    def conditions(self):
        return {"flux": Condition(lambda u, x: self.size * (u(x) - 1), self.domain, 20)}


@pytest.mark.parametrize("size", [1e21, 1e-24])
def test_residuals_that_cannot_be_scaled_are_said(make_model, size):
    with pytest.warns(FitWarning, match=r"condition 'flux' has the size .*e[+-]2\d .* float32 cannot hold"):
        problem = scaled(InUnits(size), make_model(), jax.random.key(0))
    assert problem.residuals == (("flux", 1.0),)
    assert np.isfinite(problem.outputs[0])


def test_an_infinite_loss_is_neither_independent_nor_a_root(train, recwarn):
    result = train(optax.adam(1e-3), 2, problem=InUnits(1e21))
    assert result.stop_reason == "not_finite_at_start"
    said = " ".join(str(warning.message) for warning in recwarn)
    assert "squares of residuals leave the range of their type" in said
    assert "does not depend" not in said
    assert "logarithm" not in said


@dataclasses.dataclass(frozen=True)
class Large(Problem):
    """u' = 0 with data far larger than a network's output."""

    data: float
    factor: float = 1.0
    domain = Box((0.0,), (1.0,))

    def conditions(self):
        return {
            "pde": Condition(lambda u, x: gradient(u, x)[1][0], self.domain, 20),
            "data": Condition(lambda u, x: self.factor * u(x) - self.data, self.domain.face(0, "lower"), 1),
        }


def test_data_beyond_the_rounding_of_an_output_give_its_size(make_model):
    """Differences of residuals as large as the data would lose the network in rounding."""
    model = make_model((2,))
    problem = scaled(Large(1e12), model, jax.random.key(0))
    assert problem.outputs[0] * abs(model(-jnp.ones(1))[0]) == pytest.approx(1e12, rel=1e-3)


def test_a_size_that_a_type_cannot_hold_is_said(make_model):
    with pytest.warns(FitWarning, match=r"output 0 .*float32 cannot hold.*of order one"):
        problem = scaled(Large(1e15, factor=1e-26), make_model((2,)), jax.random.key(0))
    assert problem.outputs[0] < 1e3

"""Regions, embeddings and tables that are given something of another kind, in words."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pinns import (
    MLP,
    Ball,
    Box,
    Chain,
    Condition,
    Difference,
    Edges,
    Faces,
    FixedPoints,
    FourierFeatures,
    Interpolated,
    Normalize,
    PeriodicEmbedding,
    Poisson2D,
    Polygon,
    Sampling,
    SpaceTime,
    Sphere,
    functional,
)

KEY = jax.random.key(0)
BOX = Box((0.0, 0.0), (1.0, 1.0))
BALL = Ball((0.5, 0.5), 0.1)
HOLED = Difference(BOX, BALL)
ROD = SpaceTime(BOX, (0.0, 1.0))
CORNERS = ((0, 0), (1, 0), (1, 1))
LINE = np.linspace(0, 1, 9)
RNGS = nnx.Rngs(0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Box(("0",), ("1",)), r"coordinates of its corners"),
        (lambda: Ball(0.5, 0.5), r"Ball\(\(0.5,\), 0.5\) in 1-D"),
        (lambda: Ball(0.0, 1.0), r"Ball\(\(0.5,\), 0.5\) in 1-D"),
        (lambda: Sphere((0.0,), (1.0,)), r"coordinates of its centre and a radius"),
        (lambda: Faces(BOX, (0, "lower")), r"faces must be pairs, e.g. \(\(0, 'lower'\)"),
        (lambda: Faces(HOLED, ((0, "lower"),)), r"of a Difference take domain.face"),
        (lambda: Faces(ROD, ((0, "lower"),)), r"domain.during\(space.face\(axis, side\)\)"),
        (lambda: Edges(Polygon(CORNERS), 0), r"Edges\(polygon, \(0,\)\)"),
        (lambda: Edges(BOX, (0,)), r"Edges are those of a Polygon"),
        (lambda: Difference(BOX, [BALL, BALL]), r"For two holes: Difference\(Difference"),
        (lambda: Difference(BOX, BALL.boundary()), r"got the hole Sphere"),
        (
            lambda: Difference(BALL, Ball((0.5, 0.5), 0.05)).face(0, "lower"),
            r"has no faces: take domain.outer",
        ),
        (lambda: SpaceTime(BALL, 1.0), r"two numbers, the first and the last"),
        (lambda: SpaceTime((0.0, 1.0), (0.0, 1.0)), r"space of a SpaceTime must be a Box"),
        (lambda: ROD.during(3), r"needs a region of space"),
        (lambda: Condition(None, Box, 3), r"region must be a Box, .*got <class"),
        (lambda: functional((lambda p, x: p * x, jnp.ones(1)), [1.0]), r"coefficients by name"),
        (lambda: Interpolated(LINE, LINE), r"Interpolated\(\(x,\), values\) in 1-D"),
        (lambda: PeriodicEmbedding(2.0), r"PeriodicEmbedding\(\(2.0,\)\) in 1-D"),
        (lambda: Normalize(0.0, 1.0), r"Normalize\(\(0.0,\), \(1.0,\)\) in 1-D"),
        (lambda: Chain([Normalize((0.0,), (1.0,))]), r"with in_features, out_features"),
        (lambda: MLP(2, [4], 1, embedding=lambda x: x, rngs=RNGS), r"with in_features, out_features"),
        (lambda: MLP(2, [4.0], 1, rngs=RNGS), r"width of a layer must be a whole number, got 4.0"),
        (lambda: Sampling(num_points=5), r"numbers by condition"),
    ],
)
def test_another_kind_is_refused(make, message):
    with pytest.raises(TypeError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Ball((0.0,), np.inf), "both finite"),
        (lambda: SpaceTime(BALL, (0.0, np.inf)), "both finite"),
        (lambda: Normalize((0.0,), (np.inf,)), "finite corners"),
        (lambda: PeriodicEmbedding((np.inf,)), "positive and finite"),
        (lambda: FourierFeatures(1, 2, scale=np.inf, rngs=RNGS), "positive and finite"),
        (lambda: Polygon((*CORNERS, CORNERS[0])), "vertex 3 of the polygon is repeated.*leave it out"),
        (lambda: Polygon(((0, 0), (1, 0), (1, 0), (1, 1))), "vertex 1 of the polygon is repeated"),
        (lambda: Polygon(((0, 0), (1,), (1, 1))), "each two numbers"),
        (lambda: FixedPoints([[0.0]], [np.nan]), "Leave those points out"),
        (lambda: FixedPoints([[0.0], [1.0]], [[1.0, np.nan], [1.0, 2.0]]), "each output FixedPoints and"),
        (lambda: HOLED.face(2, "lower"), "of a 2-dimensional box"),
    ],
)
def test_unfit_numbers_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_lists_and_arrays_are_taken():
    assert hash(Faces(BOX, [[0, "lower"]])) == hash(BOX.face(0, "lower"))
    assert hash(Edges(Polygon(CORNERS), [0])) == hash(Polygon(jnp.array(CORNERS)).edge(0))
    assert Sphere([0.0, 0.0], 1) == Ball(np.zeros(2), 1).boundary()


def test_points_that_cannot_be_drawn_name_their_condition():
    with pytest.raises(ValueError, match="a grid in 2 dimensions") as caught:
        Poisson2D(10, 16).sample(KEY, method="grid")
    assert caught.value.__notes__ == ["This is of the points of condition 'pde'."]


def test_a_weight_of_shape_one_says_which_number_is_meant():
    condition = Condition(lambda u, x: u(x), Box((0.0,), (1.0,)), 3, weight=lambda x: 1 - x**2)
    with pytest.raises(TypeError, match=r"a scalar such as 1 - x\[0\] .*shape \(1,\)"):
        condition.weights(jnp.ones((3, 1)))

"""Several embeddings, one after the other."""

import itertools
from typing import Any

from flax import nnx

from pinns._embeddings import check_embedding, units_of


class Chain(nnx.Module):
    """Several embeddings, one after the other, e.g. ``Chain(Normalize(...), FourierFeatures(...))``.

    Args:
      *embeddings: Each takes what the one before it gives.

    Raises:
      ValueError: No embedding, or numbers of features that do not fit.
      TypeError: Something else than embeddings, as a list of them.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns import Chain, Normalize, PeriodicEmbedding
      >>> Chain(Normalize((0.0,), (4.0,)), PeriodicEmbedding((2.0,))).out_features
      2
    """

    @property
    def supports_jets(self) -> bool:
        """Whether all of them take jets."""
        return all(getattr(embedding, "supports_jets", True) for embedding in self.embeddings)

    def __init__(self, *embeddings: Any):
        for embedding in embeddings:
            check_embedding(embedding)
        fits = [a.out_features == b.in_features for a, b in itertools.pairwise(embeddings)]
        if not embeddings or not all(fits):
            raise ValueError(
                "a chain needs embeddings each of which takes as many features as the one before it gives, "
                f"got {[(e.in_features, e.out_features) for e in embeddings]}."
            )
        self.in_features, self.out_features = embeddings[0].in_features, embeddings[-1].out_features
        self.embeddings = nnx.List(embeddings)

    @property
    def takes_units(self) -> tuple[bool, ...]:
        """Whether each coordinate must come in the unit of the problem.

        The first of them tells, and of a coordinate that it passes on the next one, and so on.
        """
        units: tuple[bool, ...] = ()
        for embedding in reversed(self.embeddings):
            after, passed = units, _passed(embedding)
            own = units_of(embedding) or (False,) * embedding.in_features
            units = tuple(
                takes or (bool(after) and axis in passed and after[passed[axis]])
                for axis, takes in enumerate(own)
            )
        return units

    @property
    def passed(self) -> dict[int, int]:
        """Coordinates that stay as they are, and the features that they become."""
        found = {axis: axis for axis in range(self.in_features)}
        for embedding in self.embeddings:
            passed = _passed(embedding)
            found = {axis: passed[column] for axis, column in found.items() if column in passed}
        return found

    def __call__(self, x: Any) -> Any:
        """The features of ``x``, an array or a jet."""
        for embedding in self.embeddings:
            x = embedding(x)
        return x


def _passed(embedding: Any) -> dict[int, int]:
    return getattr(embedding, "passed", {})

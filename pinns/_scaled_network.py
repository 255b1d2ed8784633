"""A network between scalings of its inputs and outputs."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from pinns._functional import Functional


class ScaledNetwork:
    """x ↦ s ⊙ u((x − m)/h), for arrays and jets."""

    def __init__(self, network: Any, middle: jax.Array, half: jax.Array, outputs: jax.Array):
        self._network, self._middle, self._half, self._outputs = network, middle, half, outputs

    def __call__(self, x: Any) -> Any:
        """The network at ``x``."""
        value = self._network((x - self._middle) * (1 / self._half))
        if isinstance(value, list | tuple):
            if any(jnp.ndim(part) for part in value):
                return self._each(value)
            value = jnp.stack(value)
        is_scalar = getattr(value, "shape", None) == ()  # and stays one; a jet has no shape
        return value * (self._outputs[0] if is_scalar else self._outputs)

    def _each(self, value: Any) -> Any:
        """Outputs in several arrays, each with its own sizes, in the form in which they came."""
        parts, structure = jax.tree.flatten(value)
        ends = np.cumsum([jnp.size(part) for part in parts])
        sizes = jnp.split(jnp.broadcast_to(self._outputs, (ends[-1],)), ends[:-1])
        scaled = [part * size.reshape(jnp.shape(part)) for part, size in zip(parts, sizes, strict=True)]
        return jax.tree.unflatten(structure, scaled)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "_network" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self._network, name)


class ScaledFunctional(Functional):
    """A network between a scaling of its inputs and one of its outputs."""

    _leaves = ("inner", "middle", "half", "outputs")

    def __init__(self, inner: Functional, middle: jax.Array, half: jax.Array, outputs: jax.Array):
        self.inner, self.middle, self.half, self.outputs = inner, middle, half, outputs

    def __call__(self, params: optax.Params) -> Any:
        return self._scaled(self.inner(params))

    def _scaled(self, network: Any) -> ScaledNetwork:
        return ScaledNetwork(network, self.middle, self.half, self.outputs)

    def changing_state(
        self, params: optax.Params, call: Callable[[Any], None], trace: Callable[..., Any] = jax.eval_shape
    ) -> list[str]:
        return self.inner.changing_state(params, lambda network: call(self._scaled(network)), trace)

    def model(self, params: optax.Params) -> Any:
        return self.inner.model(params)

"""A function's jaxpr as a list of steps, with the matrix products of its parameters marked."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import cast

import jax
import jax.numpy as jnp
from jax.core import ShapedArray
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var

from isgd_optax._gauss_newton._ahead import bind
from isgd_optax._gauss_newton._layout import Use, View
from isgd_optax._norms import as_wide_as

# Calls whose body is evaluated in their place. Rules of derivatives of their own (custom_jvp, custom_vjp)
# would be lost that way: such calls, and loops, are evaluated as they are.
_INLINED = {"jit": "jaxpr", "pjit": "jaxpr", "closed_call": "call_jaxpr", "core_call": "call_jaxpr"}
_REMAT = {"remat": "jaxpr", "remat2": "jaxpr", "checkpoint": "jaxpr"}

Place = int | Literal  # of a value: where it lies in memory, or the value itself


@dataclasses.dataclass(frozen=True)
class Step:
    """One equation of a program.

    Args:
      eqn: The equation.
      inputs: Places of its operands in memory, or literals.
      outputs: Places of its results.
      uses: For a matrix product, the operands that are parameters.
      viewed: The operand that its results are views of.
    """

    eqn: JaxprEqn
    inputs: tuple[Place, ...]
    outputs: tuple[int, ...]
    uses: tuple[Use, ...] = ()
    viewed: int | None = None


class Program:
    """Steps that evaluate ``closed``, whose first arguments are parameter arrays.

    Args:
      closed: A closed jaxpr with one output.
      num_leaves: The number of its arguments that are parameter arrays.

    Attributes:
      ways: For each parameter array the names of the primitives that take it, and whether each takes it
        as a matrix product's factor.
    """

    def __init__(self, closed: ClosedJaxpr, num_leaves: int):
        self.closed = closed
        self.steps: list[Step] = []
        self.views: dict[int, View] = {}
        self.ways: list[dict[str, bool]] = [{} for _ in range(num_leaves)]
        self._shapes = [_aval(v).shape for v in closed.jaxpr.invars[:num_leaves]]
        self._columns: dict[int, int] = {}
        self._size = 0
        self.inputs = self._new(len(closed.jaxpr.invars))
        self.constants = self._new(len(closed.jaxpr.constvars))
        for leaf, variable in enumerate(closed.jaxpr.invars[:num_leaves]):
            if jnp.issubdtype(_aval(variable).dtype, jnp.floating):
                self.views[self.inputs[leaf]] = View.whole(leaf, _aval(variable).shape)
        (self.output,) = self._inline(closed.jaxpr, self.constants, self.inputs)
        self._live([self.output], "output")

    @property
    def taps(self) -> list[jax.ShapeDtypeStruct]:
        """The products that parameters are factors of: their shapes and dtypes."""
        avals = [_aval(step.eqn.outvars[0]) for step in self.steps if step.uses]
        return [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in avals]

    @property
    def uses(self) -> list[tuple[int, Use]]:
        """Every factor with the index of its product."""
        products = [step.uses for step in self.steps if step.uses]
        return [(i, use) for i, uses in enumerate(products) for use in uses]

    @property
    def live(self) -> set[int]:
        """The parameter arrays that also enter otherwise than as a matrix product's factor."""
        return {leaf for leaf, ways in enumerate(self.ways) if not all(ways.values())}

    def run(
        self,
        leaves: Sequence[jax.Array],
        live: Sequence[jax.Array],
        rest: Sequence[jax.Array],
        taps: Sequence[jax.Array],
    ) -> tuple[jax.Array, list[jax.Array]]:
        """Evaluates the function.

        Args:
          leaves: The parameter arrays as factors of matrix products.
          live: The same arrays as everything else takes them.
          rest: The other arguments.
          taps: What is added to each product.

        Returns:
          The output, and for each factor (:attr:`uses`) its inputs, shape (S, in).
        """
        memory: dict[int, jax.Array] = dict(zip(self.inputs, [*live, *rest], strict=True))
        memory |= dict(zip(self.constants, self.closed.consts, strict=True))
        fixed: dict[int, jax.Array] = dict(zip(self.inputs, leaves, strict=False))
        read = functools.partial(_read, memory)
        inputs, added = [], iter(taps)
        for step in self.steps:
            values = [read(place) for place in step.inputs]
            if step.uses:
                for use in step.uses:
                    values[use.operand] = _read(fixed, step.inputs[use.operand])
                (result,) = bind(step.eqn, values)
                memory[step.outputs[0]] = result + next(added)
                for use in step.uses:
                    inputs.append(_inputs(use, values[1 - use.operand], read))
                continue
            memory.update(zip(step.outputs, bind(step.eqn, values), strict=True))
            if step.viewed is not None:
                values[step.viewed] = _read(fixed, step.inputs[step.viewed])
                fixed.update(zip(step.outputs, bind(step.eqn, values), strict=True))
        return read(self.output), inputs

    def _new(self, count: int) -> list[int]:
        self._size += count
        return list(range(self._size - count, self._size))

    def _live(self, places: Sequence[Place], name: str) -> None:
        """Parameters that are taken as they are."""
        for place in places:
            if isinstance(place, int) and place in self.views:
                self.ways[self.views[place].leaf][name] = False

    def _inline(self, jaxpr: Jaxpr, constants: Sequence[int], arguments: Sequence[Place]) -> list[Place]:
        """Appends the steps of a jaxpr; returns the places of its outputs."""
        places = dict(zip(jaxpr.constvars, constants, strict=True))
        places |= dict(zip(jaxpr.invars, arguments, strict=True))
        read = lambda atom: atom if isinstance(atom, Literal) else places[atom]
        for eqn in jaxpr.eqns:
            inputs = tuple(read(atom) for atom in eqn.invars)
            body = self._body(eqn, inputs)
            if body is None:
                outputs = self._new(len(eqn.outvars))
                self.steps.append(self._step(eqn, inputs, tuple(outputs)))
            else:
                outputs = self._inline(body, (), inputs)
            places.update(zip(eqn.outvars, outputs, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def _body(self, eqn: JaxprEqn, inputs: tuple[Place, ...]) -> Jaxpr | None:
        """The jaxpr to evaluate in the equation's place, if any."""
        name = eqn.primitive.name
        remat = name in _REMAT and any(isinstance(place, int) and place in self.views for place in inputs)
        if name not in _INLINED and not remat:
            return None
        body = eqn.params[(_INLINED | _REMAT)[name]]
        if not isinstance(body, ClosedJaxpr):
            return None if body.constvars else body
        return None if body.consts else body.jaxpr

    def _step(self, eqn: JaxprEqn, inputs: tuple[Place, ...], outputs: tuple[int, ...]) -> Step:
        name = eqn.primitive.name
        seen = [self.views.get(place) if isinstance(place, int) else None for place in inputs]
        if name == "dot_general":
            uses = tuple(use for i, view in enumerate(seen) if view and (use := self._use(eqn, view, i)))
            for use in uses:
                self.ways[use.leaf].setdefault(name, True)
            self._live([p for i, p in enumerate(inputs) if all(use.operand != i for use in uses)], name)
            return Step(eqn, inputs, outputs, uses)
        for i, view in enumerate(seen):
            results = self._viewed(eqn, view, i, inputs) if view is not None else None
            if results is not None:
                self._live(inputs[:i] + inputs[i + 1 :], name)
                self.views.update(zip(outputs, results, strict=True))
                return Step(eqn, inputs, outputs, viewed=i)
        self._live(inputs, name)
        return Step(eqn, inputs, outputs)

    def _viewed(
        self, eqn: JaxprEqn, view: View, operand: int, inputs: tuple[Place, ...]
    ) -> list[View] | None:
        """The equation's results as views of a parameter array, given that of one operand."""
        name = eqn.primitive.name
        if len(inputs) == 1 and name != "neg":
            return view.transformed(name, eqn.params)
        if name == "neg":
            return [view._replace(scale=(*view.scale, (-1.0, 1)))]
        if not (name == "mul" or (name == "div" and operand == 0)) or not view.elements.ndim:
            return None
        if _aval(eqn.invars[1 - operand]).shape:
            return None
        other = inputs[1 - operand]
        factor = other if isinstance(other, int) else float(other.val)
        return [view._replace(scale=(*view.scale, (factor, 1 if name == "mul" else -1)))]

    def _use(self, eqn: JaxprEqn, view: View, operand: int) -> Use | None:
        """How the parameters are a factor of a product, or None if they are that of no matrix product."""
        avals = [_aval(atom) for atom in (*eqn.invars, *eqn.outvars)]
        contracts, batch = eqn.params["dimension_numbers"]
        if batch[0] or not all(jnp.issubdtype(aval.dtype, jnp.floating) for aval in avals):
            return None
        mine, its = tuple(contracts[operand]), tuple(contracts[1 - operand])
        free = tuple(k for k in range(avals[operand].ndim) if k not in mine)
        other = tuple(k for k in range(avals[1 - operand].ndim) if k not in its)
        found = view.matrix(mine, free, self._shapes[view.leaf], self._columns.get(view.leaf))
        if found is None:
            return None
        matrix, contracted_order, free_order = found
        self._columns[view.leaf] = matrix.shape[1]
        first = 0 if operand == 0 else len(other)  # of the factor's axes in the product
        streams = tuple(k for k in range(avals[2].ndim) if not first <= k < first + len(free))
        return Use(
            view.leaf,
            matrix,
            operand,
            other + tuple(its[k] for k in contracted_order),
            streams + tuple(first + k for k in free_order),
            view.scale,
        )


def _read(memory: dict[int, jax.Array], place: Place) -> jax.Array:
    return memory[place] if isinstance(place, int) else place.val


def _aval(atom: Var | Literal) -> ShapedArray:
    """An atom's shape and dtype."""
    return cast(ShapedArray, atom.aval)


def _inputs(use: Use, other: jax.Array, read: Callable[[Place], jax.Array]) -> jax.Array:
    """The other operand of a product by a factor, shape (S, rows or columns of the parameter array)."""
    axis = use.matrix.input_axis
    inputs = jnp.transpose(other, use.to_inputs).reshape(-1, use.matrix.size[axis])
    for factor, exponent in use.scale:
        value = read(factor) if isinstance(factor, int) else factor
        inputs, value = as_wide_as(inputs, value), as_wide_as(value, inputs)
        inputs = inputs * value if exponent > 0 else inputs / value
    return use.matrix.widen(inputs, axis)

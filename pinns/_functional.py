"""Any network as a function of its parameters."""

import abc
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen, nnx
from jax.typing import ArrayLike

from isgd_optax import FieldsAsLeaves
from pinns._identity import ByContent
from pinns._leaves import HOW, check_collections, checked, is_array, is_leaf, is_real, without_complex
from pinns._unknowns import Solution, Unknown, declared


class Functional(FieldsAsLeaves, abc.ABC):
    """A network without its parameters. Called with parameters it gives the network as a function of x."""

    @abc.abstractmethod
    def __call__(self, params: optax.Params) -> Any:
        """The network with these parameters, a function of one point."""

    def model(self, params: optax.Params) -> Any:
        """The network with these parameters, in the form in which the user gave it."""
        return self(params)

    def changing_state(
        self, params: optax.Params, call: Callable[[Any], None], trace: Callable[..., Any] = jax.eval_shape
    ) -> list[str]:
        """Names of what ``call(u)``, traced without numbers, changes: statistics, a random stream."""
        trace(lambda params: call(self(params)), params)
        return []


class _Module(Functional):
    """A Flax NNX module."""

    _leaves = ("rest",)
    _static = ("graphdef",)

    def __init__(self, graphdef: Any, rest: Any):
        self.graphdef, self.rest = graphdef, rest

    def __call__(self, params: optax.Params) -> Any:
        return nnx.merge(self.graphdef, params, self.rest)

    def changing_state(
        self, params: optax.Params, call: Callable[[Any], None], trace: Callable[..., Any] = jax.eval_shape
    ) -> list[str]:
        changed: list[str] = []

        def compare(params: Any, rest: Any) -> None:
            module = nnx.merge(self.graphdef, params, rest)
            before = dict(jax.tree.leaves_with_path(nnx.split(module, nnx.Param, ...)[2]))
            call(module)
            after = jax.tree.leaves_with_path(nnx.split(module, nnx.Param, ...)[2])
            changed.extend(jax.tree_util.keystr(path) for path, leaf in after if leaf is not before.get(path))

        trace(compare, params, self.rest)
        return changed


class _Pair(Functional):
    """A function apply(params, x)."""

    _leaves = ("apply",)

    def __init__(self, apply: Callable[..., Any]):
        # Bound methods of equal modules are not equal: compared by content they are.
        self.apply = jax.tree_util.Partial(_Applied(apply)) if is_leaf(apply) else apply

    def __call__(self, params: optax.Params) -> Any:
        return lambda x: self.apply(params, x)

    def model(self, params: optax.Params) -> Any:
        inner = getattr(self.apply, "func", None)
        return (inner.apply if isinstance(inner, _Applied) else self.apply, params)


class _Applied(ByContent):
    """A function, compared by what it is."""

    def __init__(self, apply: Callable[..., Any]):
        super().__init__([getattr(apply, "__func__", apply), getattr(apply, "__self__", None)])
        self.apply = apply

    def __call__(self, *args: Any) -> Any:
        return self.apply(*args)


class _Pytree(Functional):
    """A callable pytree, whose arrays of real numbers are trained."""

    _leaves = ("rest",)
    _static = ("treedef", "others")

    def __init__(self, treedef: Any, rest: tuple[Any, ...], others: tuple[Any, ...]):
        self.treedef, self.rest, self.others = treedef, rest, others

    def __call__(self, params: optax.Params) -> Any:
        trained, rest = iter(jax.tree.leaves(params)), iter(self.rest)
        sources = {"trained": trained, "rest": rest}
        leaves = [next(sources[o]) if isinstance(o, str) else o.value for o in self.others]
        return jax.tree.unflatten(self.treedef, leaves)


class _Networks(Functional):
    """Several networks by name, and unknown coefficients; either may be absent."""

    _leaves = ("parts",)
    _static = ("names", "unknowns", "single")

    def __init__(self, functionals: Mapping[str, Functional], unknowns: ByContent, single: bool):
        # JAX sorts the keys of dictionaries, and the first network is u itself.
        self.names, self.parts = tuple(functionals), tuple(functionals.values())
        self.unknowns, self.single = unknowns, single

    @property
    def functionals(self) -> dict[str, Functional]:
        """The networks' functions, in the order in which they were given."""
        return dict(zip(self.names, self.parts, strict=True))

    def _split(self, params: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return {name: params[name] for name in self.names}, params.get("unknowns", {})

    def __call__(self, params: Any) -> Solution:
        networks, trained = self._split(params)
        built = {name: function(networks[name]) for name, function in self.functionals.items()}
        return Solution(built, self._values(trained))

    def _values(self, trained: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        return {name: unknown.value(trained[name]) for name, unknown in self.unknowns.value.items()}

    def changing_state(
        self, params: Any, call: Callable[[Any], None], trace: Callable[..., Any] = jax.eval_shape
    ) -> list[str]:
        networks, trained = self._split(params)
        changed: list[str] = []

        def build(names: list[str], built: dict[str, Any]) -> None:
            if not names:
                return call(Solution(built, self._values(trained)))
            name, *others = names
            inner = lambda u: build(others, {**built, name: u})
            changed.extend(self.functionals[name].changing_state(networks[name], inner, trace))

        build(list(networks), {})
        return changed

    def model(self, params: Any) -> Any:
        networks, _ = self._split(params)
        models = {name: function.model(networks[name]) for name, function in self.functionals.items()}
        return models["network"] if self.single else models


def functional(
    model: Any, unknowns: Mapping[str, Unknown | ArrayLike] | None = None
) -> tuple[Functional, optax.Params]:
    """Splits a network into a function of its parameters, and these.

    Args:
      model: A Flax NNX module; a callable pytree, e.g. an Equinox module; a pair ``(apply, params)`` with
        ``apply(params, x)``; or several of these by name in a dictionary, none of them
        called "unknowns".
      unknowns: Coefficients to train beside it, by name: an :class:`Unknown`, or a number to start from.

    Returns:
      ``function`` with ``function(params)(x)``, and ``params``: of an NNX module ``nnx.state(model,
      nnx.Param)``, of a pytree the same with None for what is not trained, of a pair its ``params``. With
      unknowns ``{"network": params, "unknowns": {...}}``; of several networks the params of each by name.

    Raises:
      TypeError: Something else, a network without parameters, or of parameters that are no real numbers, or
        several that share parameters.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns import functional
      >>> function, params = functional((lambda params, x: params["a"] * x, {"a": jnp.asarray(2.0)}))
      >>> print(function(params)(jnp.ones(1)))
      [2.]
    """
    unknowns = declared(unknowns or {})
    if isinstance(model, Mapping):
        _check_apart(model)
        parts = {name: functional(part) for name, part in model.items()}
        if not parts or "unknowns" in parts:
            raise TypeError(f"networks need names, and none of them 'unknowns'. {HOW}")
        function = _Networks({name: f for name, (f, _) in parts.items()}, ByContent(unknowns), False)
        params: Any = {name: part for name, (_, part) in parts.items()}
    else:
        function, params = _single(model)
        if unknowns:
            function = _Networks({"network": function}, ByContent(unknowns), True)
            params = {"network": params}
    if unknowns:
        dtype = params_dtype(params)
        params["unknowns"] = {name: unknown.initial(dtype) for name, unknown in unknowns.items()}
    return function, params


def _check_apart(networks: Mapping[str, Any]) -> None:
    """Raises TypeError for networks that share parameters: each would be trained with its own."""
    owners: dict[int, str] = {}
    for name, network in networks.items():
        if isinstance(network, nnx.Module):
            shared = {id(v): name for _, v in nnx.iter_graph(network) if isinstance(v, nnx.Param)}
            for other in (owners[key] for key in shared if key in owners):
                raise TypeError(
                    f"the networks {other!r} and {name!r} share parameters, and each would train its own: "
                    "make one nnx.Module of both, whose output is that of both."
                )
            owners |= shared


def _single(model: Any) -> tuple[Functional, Any]:
    if isinstance(model, nnx.Module):
        graphdef, params, rest = nnx.split(model, nnx.Param, ...)
        return _Module(graphdef, rest), checked(params)
    if isinstance(model, linen.Module):
        raise TypeError(
            "a Linen module does not hold its parameters: give (module.apply, module.init(key, x)), with x "
            f"one point, e.g. jnp.zeros(2). {HOW}"
        )
    if isinstance(model, tuple) and len(model) == 2 and callable(model[0]):
        check_collections(model[1])
        return _Pair(model[0]), checked(model[1])
    if not callable(model):
        raise TypeError(f"{type(model).__name__} is no network. {HOW}")
    leaves, treedef = jax.tree.flatten(without_complex(model))
    kinds = ["trained" if is_real(x) else "rest" if is_array(x) else ByContent(x) for x in leaves]
    if "trained" not in kinds:
        jitted = " fit compiles it: give what was given to jit." if hasattr(model, "lower") else ""
        raise TypeError(f"{type(model).__name__} holds no parameters (arrays of real numbers).{jitted} {HOW}")
    rest = tuple(x for x, kind in zip(leaves, kinds, strict=True) if kind == "rest")
    trained = [x if kind == "trained" else None for x, kind in zip(leaves, kinds, strict=True)]
    return _Pytree(treedef, rest, tuple(kinds)), jax.tree.unflatten(treedef, trained)


def params_dtype(params: optax.Params) -> jnp.dtype:
    """The dtype of a computation with these parameters."""
    return jnp.result_type(*(leaf.dtype for leaf in jax.tree.leaves(params)))


def num_parameters(model: Any) -> int:
    """The number of numbers of ``model`` that are trained; for its forms see :func:`functional`."""
    return sum(leaf.size for leaf in jax.tree.leaves(functional(model)[1]))

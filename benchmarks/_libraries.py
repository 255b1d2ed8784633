"""Two whole PINN libraries on one of our problems, each with its own network, derivatives and training loop.

Points, loss, architecture and the distribution of the initial parameters are ours. A call sets options of
JAX and of the library for the whole process: run each in a process of its own.
"""

import contextlib
import importlib
import io
import itertools
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.experimental import io_callback

import pinns
from pinns import errors, evaluation_points, exact_values


class Curve(NamedTuple):
    """A training.

    Attributes:
      rows: seconds of training, relative L2 error, loss and gradient evaluations.
      compile_seconds: time before the first step.
      num_steps: steps made.
    """

    rows: list[tuple[float, float, float, float]]
    compile_seconds: float
    num_steps: int


class _Looks:
    """Parameters about every half second, evaluated after the run: looking takes none of its time."""

    def __init__(self, seconds: float):
        self.limit = seconds
        self.taken: list[tuple[float, int, Any]] = []

    def start(self, params: Any) -> None:
        self.began = time.perf_counter()
        self.taken = [(0.0, 0, params)]

    def due(self) -> bool:
        return time.perf_counter() - self.began >= min(self.taken[-1][0] + 0.5, self.limit)

    def take(self, step: int, params: Any) -> bool:
        """Notes ``params`` after ``step`` steps; whether the time is up."""
        self.taken.append((time.perf_counter() - self.began, step, params))
        return self.taken[-1][0] >= self.limit

    def curve(self, problem: pinns.Problem, predict: Any, loss: Any, compile_seconds: float) -> Curve:
        """With ``predict(params, points)`` and ``loss(params)``."""
        points = evaluation_points(problem, jnp.float64)
        exact = exact_values(problem, points)
        assert exact is not None
        evaluate = jax.jit(lambda params: (errors(predict(params, points), exact).rel_l2, loss(params)))
        rows: list[tuple[float, float, float, float]] = []
        for seconds, step, params in self.taken:
            error, value = evaluate(params)
            rows.append((seconds, float(error), float(value), float(step)))
        return Curve(rows, compile_seconds, self.taken[-1][1])


def deepxde(
    problem: pinns.Problem,
    hidden: Sequence[int],
    points: dict[str, np.ndarray],
    *,
    seconds: float,
    seed: int,
    learning_rate: float,
) -> Curve:
    """DeepXDE's ``Model.train`` with Adam on its JAX backend, full batch, float64."""
    os.environ["DDE_BACKEND"] = "jax"
    jax.config.update("jax_enable_x64", True)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        dde: Any = importlib.import_module("deepxde")
        dde.config.set_default_float("float64")
    residual, conditions, looks = _residual(problem), problem.conditions(), _Looks(seconds)
    data = dde.data.PDE(
        dde.geometry.Interval(problem.domain.lower[0], problem.domain.upper[0]),
        lambda x, y: residual(x, dde.grad.jacobian(y, x)[0], dde.grad.hessian(y, x)[0]),
        dde.icbc.PointSetBC(points["boundary"], 0.0),
        anchors=points["pde"],
    )
    network = dde.nn.FNN([1, *hidden, 1], "tanh", "Glorot normal")
    model = dde.Model(data, network)
    # Its layers' parameters are float32 whatever its default float is; compile keeps those that it finds.
    params = network.init(jax.random.PRNGKey(seed), data.train_x)
    network.params = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), params)
    model.params = [network.params, []]
    weights = [conditions[name].weight for name in ("pde", "boundary")]
    model.compile("adam", lr=learning_rate, loss_weights=weights, verbose=0)

    class Look(dde.callbacks.Callback):
        def on_train_begin(self) -> None:
            looks.start(network.params)

        def on_epoch_end(self) -> None:
            if looks.due():
                jax.block_until_ready(network.params)
                model.stop_training = looks.take(model.train_state.step, network.params)

    began = time.perf_counter()
    jax.block_until_ready(model.train_step(model.params, model.opt_state, data.train_x, None))
    compile_seconds = time.perf_counter() - began
    never = 10**12
    model.train(iterations=never, display_every=never, callbacks=[Look()], verbose=0)
    loss = lambda params: jnp.sum(model.outputs_losses_train([params, []], data.train_x, None)[1])
    return looks.curve(problem, network.apply, loss, compile_seconds)


def jinns(
    problem: pinns.Problem,
    hidden: Sequence[int],
    points: dict[str, np.ndarray],
    *,
    seconds: float,
    seed: int,
    optimizer: str,
    learning_rate: float,
) -> Curve:
    """``jinns.solve``, full batch, float64, with ``"adam"`` or ``"vanilla_ngd"``.

    The gradient evaluations are steps: those of line searches are not counted. ``learning_rate`` is the
    first trial of the natural gradient's line search, 1 by default there.
    """
    jax.config.update("jax_enable_x64", True)
    jn: Any = importlib.import_module("jinns")
    eqx: Any = importlib.import_module("equinox")
    validation: Any = importlib.import_module("jinns.validation")
    residual, conditions, looks = _residual(problem), problem.conditions(), _Looks(seconds)

    def linear(m: int, n: int, *, key: jax.Array) -> Any:
        weight = jax.nn.initializers.glorot_normal()(key, (n, m), jnp.float64)
        layer = eqx.nn.Linear(m, n, key=key)
        return eqx.tree_at(lambda layer: (layer.weight, layer.bias), layer, (weight, jnp.zeros(n)))

    layers = [((linear, m, n), (jnp.tanh,)) for m, n in itertools.pairwise([1, *hidden, 1])]
    u, initial = jn.nn.PINN_MLP.create(
        key=jax.random.PRNGKey(seed), eqx_list=tuple(itertools.chain(*layers))[:-1], eq_type="PDEStatio"
    )
    wrap = lambda nn_params: jn.parameters.Params(nn_params=nn_params, eq_params={})

    class Equation(jn.loss.PDEStatio):
        def equation(self, x: Any, u: Any, params: Any) -> Any:
            first = jax.grad(lambda x: u(x, params)[0])(x)
            return residual(x, first, jn.loss.laplacian_rev(x, u, params))

    loss = jn.loss.LossPDEStatio(
        u=u,
        dynamic_loss=Equation(),
        boundary_condition=jn.loss.Dirichlet(),
        loss_weights=jn.loss.LossWeightsPDEStatio(
            dyn_loss=conditions["pde"].weight,
            # It adds the squares at the ends, ours is their mean.
            boundary_loss=jnp.asarray(conditions["boundary"].weights(points["boundary"])) / 2,
        ),
        params=wrap(initial),
    )
    lower, upper = problem.domain.lower, problem.domain.upper
    data = jn.data.CubicMeshPDEStatio(
        key=jax.random.PRNGKey(0), n=1, nb=2, dim=1, min_pts=lower, max_pts=upper
    )
    ours = jnp.asarray(points["pde"]), jnp.ravel(jnp.asarray(points["boundary"]))
    data = eqx.tree_at(lambda data: (data.omega, data.omega_border), data, ours)

    search = optax.scale_by_backtracking_linesearch(max_backtracking_steps=15)  # its own, but silent
    methods = {  # and the steps from one call of look to the next
        "adam": (lambda: optax.adam(learning_rate), 20),
        "vanilla_ngd": (
            lambda: jn.optimizers.vanilla_ngd(sgd_learning_rate=learning_rate, linesearch=search),
            1,
        ),
    }
    make, every = methods[optimizer]
    calls = itertools.count()

    def look(nn_params: Any) -> np.ndarray:
        step = every * next(calls) + 1
        return np.asarray(looks.due() and looks.take(step, jax.tree.map(np.array, nn_params)))

    class Look(validation.AbstractValidationModule):
        """Stops ``solve`` from inside: it compiles at every call, and says nothing before it returns."""

        call_every: int = every

        def __call__(self, params: Any) -> Any:
            stop = io_callback(look, jax.ShapeDtypeStruct((), bool), params.nn_params)
            return self, stop, jnp.zeros(()), False

    def compiled(event: str, duration_secs: float, **kwargs: str | int) -> None:
        """Starts the clock; what ``solve`` compiles last before its first step is its loop."""
        del duration_secs, kwargs
        if event.endswith("backend_compile_duration") and len(looks.taken) < 2:
            looks.start(initial)

    jax.monitoring.register_event_duration_secs_listener(compiled)
    began = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):  # it prints the validation's criterion
        jn.solve(
            n_iter=10**6,
            init_params=wrap(initial),
            data=data,
            loss=loss,
            optimizer=make(),
            validation=Look(),
            verbose=False,
        )
    predict = lambda nn_params, xs: jax.vmap(lambda x: u(x, wrap(nn_params)))(xs)
    batch = data.get_batch()[1]
    return looks.curve(problem, predict, lambda p: loss(wrap(p), batch)[0], looks.began - began)


def _residual(problem: pinns.Problem) -> Callable[[Any, Any, Any], Any]:
    """The equation's residual as a function of x, u' and u''."""
    if isinstance(problem, pinns.SingularlyPerturbedODE):
        return lambda x, first, second: first - problem.epsilon * second - problem.forcing(x)
    if isinstance(problem, pinns.Poisson1D):
        return lambda x, first, second: -second - problem.forcing(x)
    raise ValueError(f"no residual for {problem!r}.")

"""Table 2: classification of handwritten digits (Appendix C.2)."""

import functools
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import pinns
from benchmarks._artefact import Artefact, Row
from benchmarks._claims import Claim
from benchmarks._experiment import Preset
from benchmarks._files import Table
from benchmarks._optimizers import ADAM, GAUSS_NEWTON, ISGD_LBFGS, SGD, Method
from benchmarks._plots import figure
from benchmarks._steps import take_step
from benchmarks.paper._digits import Digits, bundled_digits, mnist
from benchmarks.paper._rows import medians, where
from benchmarks.paper._table2_claims import ALPHAS, BATCHES, PAPER, paper_row, sizes, table2_claims
from isgd_optax import LeastSquares, Residual, gauss_newton, implicit_step

# What the implicit steps report, a mean over all of them; the equation's residual is 1 where a step starts.
REPORTED = {"num_inner_steps": "inner steps", "residual": "residual", "accepted": "accepted"}


class Optimizer(NamedTuple):
    """An optimiser of the table, or another inner solver of ISGD.

    Args:
      method: What it is.
      color: Of its curve.
      make: Gives the transformation for a learning rate.
      largest_batch: What its matrices limit it to.
    """

    method: Method
    color: str
    make: Callable[[jax.Array], optax.GradientTransformation]
    largest_batch: float = math.inf


def _lbfgs(alpha: jax.Array) -> optax.GradientTransformation:
    return implicit_step(optax.lbfgs(memory_size=5), alpha, max_inner_steps=5, rtol=1e-2)


def _gauss_newton(alpha: jax.Array) -> optax.GradientTransformation:
    inner = gauss_newton(linear_solver="dual", max_corrections=0)
    return implicit_step(inner, alpha, max_inner_steps=3, rtol=1e-2)


OPTIMIZERS = {
    "SGD": Optimizer(SGD, SGD.color, optax.sgd),
    "Adam": Optimizer(ADAM, ADAM.color, optax.adam),
    "lbfgs": Optimizer(ISGD_LBFGS, "tab:blue", _lbfgs),
    # It factorises a matrix with a row for each logit of the batch: 5,120 for 512 images.
    "gn": Optimizer(GAUSS_NEWTON, "tab:purple", _gauss_newton, largest_batch=128),
}
LABELLED = {optimizer.method.label: optimizer for optimizer in OPTIMIZERS.values()}
if TYPE_CHECKING:
    Name = str
else:  # what the command line lets one choose is what the table has
    Name = Literal[tuple(OPTIMIZERS)]


class Table2(Artefact):
    """Table 2: digits classified by SGD, Adam and ISGD at 6 learning rates and 4 batch sizes."""

    name = "table2"
    setting = (
        "784–128–10 ReLU network (64 inputs on scikit-learn's digits, which are not the paper's data), 10 "
        "epochs, 100 of full batches, counted in outer steps, as many for every optimiser. ISGD makes up "
        "to five L-BFGS steps on the proximal objective in each, which need not solve the implicit "
        "equation: what they leave of it stands below the accuracies, and so does the share of steps that "
        "the safeguard, which Algorithm 1 does not have, accepted."
    )
    axes = ("optimizer", "batch", "seed")
    identity = ("checksum",)

    preset: Preset = "quick"
    """quick: scikit-learn's digits. paper: MNIST."""
    dataset: Literal["mnist", "digits"] | None = None
    """Instead of the preset's. MNIST comes from --mnist-folder, or from OpenML and is then kept."""
    mnist_folder: Path | None = None
    """A folder with MNIST's four IDX files, unpacked."""
    seeds: tuple[int, ...] = (0,)
    """Of the network and the batches."""
    only: tuple[Name, ...] = tuple(OPTIMIZERS)
    """The optimisers; lbfgs and gn are ISGD with this inner solver."""
    batches: tuple[int, ...] = BATCHES
    """Batch sizes; 0 is all images."""

    def _dataset(self) -> str:
        return self.dataset or ("digits" if self.preset == "quick" else "mnist")

    @functools.cached_property
    def _digits(self) -> Digits:
        return mnist(self.mnist_folder) if self._dataset() == "mnist" else bundled_digits()

    def folder(self) -> Path:
        """By default runs/table2-DATASET."""
        return self.out or Path("runs") / f"table2-{self._dataset()}"

    def head(self) -> Row:
        """The data set."""
        return {"dataset": self._digits.name, "checksum": self._digits.checksum, "seeds": self.seeds}

    def cells(self) -> list[Row]:
        """Every optimiser at every batch size, but those that its matrices forbid."""
        chosen = [OPTIMIZERS[name] for name in self.only]
        return [
            {"optimizer": optimizer.method.label, "batch": batch, "seed": seed}
            for seed in self.seeds
            for batch in self.batches
            for optimizer in chosen
            if (batch or math.inf) <= optimizer.largest_batch
        ]

    def measure(self, optimizer: str, batch: int, seed: int) -> Row:
        """784–128–10 ReLU network (64 inputs for small digits), 10 epochs, 100 of full batches, float32."""
        return _train(self._digits, optimizer, batch, seed)

    @classmethod
    def data(cls, result: Row) -> Table:
        """The paper's table, medians over the seeds, and what the implicit steps report."""
        rows, lines = result["rows"], []
        for batch in sizes(rows):
            for name in dict.fromkeys(row["optimizer"] for row in where(rows, batch=batch)):
                size, reported = str(batch or "all"), REPORTED if LABELLED[name].method.implicit else {}
                of = lambda quantity, name=name, batch=batch: medians(
                    rows, quantity, optimizer=name, batch=batch
                )
                lines.append([size, name, *(f"{v:.3f}" for v in of("accuracy"))])
                lines += [
                    [size, f"{name}: {title}", *(f"{v:.2g}" for v in of(quantity))]
                    for quantity, title in reported.items()
                ]
        return Table(["b", "optimizer", *(f"α = {alpha:g}" for alpha in ALPHAS)], lines)

    @classmethod
    def judge(cls, result: Row) -> Iterable[Claim]:
        """Table 2's shape: ISGD is accurate at every large α, SGD and Adam collapse."""
        return table2_claims(result["rows"], is_mnist=result["dataset"] == "MNIST")

    @classmethod
    def draw(cls, result: Row, folder: Path) -> None:
        """Accuracy against α, a panel for each batch size; the paper's values dashed, if the data are its."""
        rows, path = result["rows"], folder / f"{cls.name}.png"
        batches = sizes(rows)
        size = (3.5 * len(batches), 3.6)
        with figure(path, columns=len(batches), size=size, sharey=True) as (drawn, axes):
            for axis, batch in zip(axes[0], batches, strict=True):
                for name in dict.fromkeys(row["optimizer"] for row in where(rows, batch=batch)):
                    (method, color, *_), paper = LABELLED[name], paper_row(name)
                    line = "s-" if method.gauss_newton else "o-"
                    accuracies = medians(rows, "accuracy", optimizer=name, batch=batch)
                    axis.semilogx(ALPHAS, accuracies, line, color=color, label=name)
                    if result["dataset"] == "MNIST" and not method.gauss_newton and (paper, batch) in PAPER:
                        label = f"{paper}, paper"
                        axis.semilogx(ALPHAS, PAPER[paper, batch], "--", color=color, lw=0.9, label=label)
                axis.set(title=f"b = {batch or 'all'}", xlabel="learning rate α", ylim=(0, 1))
            axes[0, 0].set_ylabel("test accuracy")
            axes[0, 0].legend(fontsize=7)
            drawn.suptitle(result["dataset"], fontsize=10)


def cross_entropy(model: nnx.Module, images: jax.Array, labels: jax.Array) -> LeastSquares:
    """The mean softmax cross-entropy of a network from images to logits, as a loss of its parameters."""
    graphdef, _, rest = nnx.split(model, nnx.Param, ...)
    logits = lambda rest, params, point: nnx.merge(graphdef, params, rest)(point["image"])
    loss = lambda logits, point: optax.softmax_cross_entropy_with_integer_labels(logits, point["label"])
    fn = jax.tree_util.Partial(logits, rest)
    return LeastSquares(Residual(fn, {"image": images, "label": labels}, loss=loss))


def _train(digits: Digits, name: str, batch: int, seed: int) -> dict[str, Any]:
    """Test accuracy and training loss for every α, and what an implicit step reports, averaged."""
    images, labels, test_images, test_labels = (
        jnp.asarray(getattr(digits, k))
        for k in ("train_images", "train_labels", "test_images", "test_labels")
    )
    size = batch or len(labels)
    epochs = 10 if batch else 100
    hidden = pinns.MLP(images.shape[1], [128], 10, activation=jax.nn.relu, rngs=nnx.Rngs(seed))
    graphdef, start = nnx.split(hidden)

    def epoch(optimizer: Any, carry: Any, key: jax.Array) -> tuple[Any, Any]:
        order = jax.random.permutation(key, len(labels)) if batch else jnp.arange(len(labels))
        num_batches = len(labels) // size

        def step(carry: Any, index: jax.Array) -> tuple[Any, Any]:
            chosen = jax.lax.dynamic_slice_in_dim(order, index * size, size)
            loss = cross_entropy(hidden, images[chosen], labels[chosen])
            carry, _ = take_step(optimizer, loss, carry)
            info = getattr(carry[1], "info", None)
            report = tuple(getattr(info, name) for name in REPORTED) if info is not None else ()
            return carry, tuple(jnp.asarray(r, jnp.float32) for r in report)

        carry, reports = jax.lax.scan(step, carry, jnp.arange(num_batches))
        return carry, tuple(jnp.mean(r) for r in reports)

    @jax.jit
    def run(alpha: jax.Array) -> Any:
        solver = LABELLED[name].make(alpha)
        keys = jax.random.split(pinns.data_key(jax.random.key(seed)), epochs)
        (params, _), reports = jax.lax.scan(
            lambda carry, key: epoch(solver, carry, key), (start, solver.init(start)), keys
        )
        network = nnx.merge(graphdef, params)
        loss = optax.softmax_cross_entropy_with_integer_labels(network(images), labels).mean()
        accuracy = jnp.mean(jnp.argmax(network(test_images), axis=-1) == test_labels)
        return accuracy, loss, tuple(jnp.mean(r) for r in reports)

    compiled = run.lower(jnp.float32(1)).compile()
    found = [jax.device_get(compiled(jnp.float32(alpha))) for alpha in ALPHAS]
    columns = zip(*((accuracy, loss, *reports) for accuracy, loss, reports in found), strict=True)
    names = ("accuracy", "loss", *REPORTED)  # the reports of implicit steps alone
    short = lambda values: [float(f"{value:.4g}") for value in values]
    return {name: short(values) for name, values in zip(names, columns, strict=False)}

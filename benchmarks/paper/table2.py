"""Table 2: classification of handwritten digits (Appendix C.2)."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import optax
from flax import nnx

import pinns
from benchmarks._environment import command, environment
from benchmarks._experiment import Preset
from benchmarks._files import Table, stored_result, write_rows
from benchmarks.paper._claims import Claim
from benchmarks.paper._cross_entropy import cross_entropy
from benchmarks.paper._digits import Digits, bundled_digits, mnist
from benchmarks.paper._table2_claims import ALPHAS, BATCHES, PAPER, medians, sizes, table2_claims
from isgd_optax import gauss_newton, implicit_step

ISGD = {"lbfgs": "ISGD, L-BFGS", "gn": "ISGD, Gauss–Newton"}
# What the implicit steps report, a mean over all of them; the equation's residual is 1 where a step starts.
REPORTED = {
    "num_inner_steps": "inner steps",
    "residual": "residual",
    "accepted": "accepted",
}
# Gauss–Newton factorises a matrix with a row for each logit of the batch: 5,120 for 512 images.
LARGEST_GAUSS_NEWTON_BATCH = 128


def make_optimizer(name: str, alpha: jax.Array) -> optax.GradientTransformation:
    """An optimiser with learning rate α."""
    if name == ISGD["lbfgs"]:
        return implicit_step(optax.lbfgs(memory_size=5), alpha, max_inner_steps=5, rtol=1e-2)
    if name == ISGD["gn"]:
        inner = gauss_newton(linear_solver="dual", geodesic_acceleration=False)
        return implicit_step(inner, alpha, max_inner_steps=3, rtol=1e-2)
    return optax.with_extra_args_support({"SGD": optax.sgd, "Adam": optax.adam}[name](alpha))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table2:
    """Table 2: digits classified by SGD, Adam and ISGD at 6 learning rates and 4 batch sizes."""

    name: ClassVar[str] = "table2"
    setting: ClassVar[str] = (
        "784–128–10 ReLU network (64 inputs on scikit-learn's digits, which are not the paper's data), 10 "
        "epochs, 100 of full batches, counted in outer steps, as many for every optimiser. ISGD makes up "
        "to five L-BFGS steps on the proximal objective in each, which need not solve the implicit "
        "equation: what they leave of it stands below the accuracies."
    )

    preset: Preset = "quick"
    """quick: scikit-learn's digits. paper: MNIST."""
    dataset: Literal["mnist", "digits"] | None = None
    """Instead of the preset's. MNIST comes from --mnist-folder, or from OpenML and is then kept."""
    mnist_folder: Path | None = None
    """A folder with MNIST's four IDX files, unpacked."""
    seeds: tuple[int, ...] = (0,)
    """Of the network and the batches."""
    only: tuple[Literal["SGD", "Adam", "lbfgs", "gn"], ...] = ("SGD", "Adam", "lbfgs", "gn")
    """The optimisers; lbfgs and gn are ISGD with this inner solver."""
    batches: tuple[int, ...] = BATCHES
    """Batch sizes; 0 is all images."""
    out: Path | None = None
    """Folder of the results, by default runs/table2-DATASET; what is there is not run again."""

    def run(self) -> dict[str, Any]:
        """784–128–10 ReLU network (64 inputs for small digits), 10 epochs, 100 of full batches, float32."""
        chosen = self.dataset or ("digits" if self.preset == "quick" else "mnist")
        folder = self.out or Path("runs") / f"table2-{chosen}"
        jax.config.update("jax_enable_x64", False)
        digits = mnist(self.mnist_folder) if chosen == "mnist" else bundled_digits()
        path = folder / "table2.json"
        head = {"dataset": digits.name, "checksum": digits.checksum, "seeds": self.seeds}
        rows = stored_result(path, checksum=digits.checksum).get("rows", [])
        for seed in self.seeds:
            for batch in self.batches:
                for name in self.only:
                    optimizer = ISGD.get(name, name)
                    if name == "gn" and not 0 < batch <= LARGEST_GAUSS_NEWTON_BATCH:
                        continue
                    cell = {"optimizer": optimizer, "batch": batch, "seed": seed}
                    if any(cell.items() <= row.items() for row in rows):
                        continue
                    rows.append(cell | _train(digits, optimizer, batch, seed))
                    write_rows(path, {"command": command(), **head, **environment(), "rows": rows})
                    print(json.dumps(rows[-1]), file=sys.stderr)
        result = {"command": command(), **head, **environment(), "rows": rows}
        write_rows(path, result)
        draw(result, folder / "table2.png")
        print(self.data(result))
        print(f"{digits.name}; results in {folder}")
        return result

    @staticmethod
    def data(result: dict[str, Any]) -> Table:
        """The paper's table, medians over the seeds, and what the implicit steps report."""
        rows, lines = result["rows"], []
        for batch in sizes(rows):
            for name in dict.fromkeys(row["optimizer"] for row in rows if row["batch"] == batch):
                accuracies = [f"{v:.3f}" for v in medians(rows, name, batch)]
                lines.append([str(batch or "all"), name, *accuracies])
                if name in ISGD.values():
                    for quantity, title in REPORTED.items():
                        values = [f"{v:.2g}" for v in medians(rows, name, batch, quantity)]
                        lines.append([str(batch or "all"), f"{name}: {title}", *values])
        return Table(["b", "optimizer", *(f"α = {alpha:g}" for alpha in ALPHAS)], lines)

    @staticmethod
    def claims(result: dict[str, Any]) -> list[Claim]:
        """Table 2's shape: ISGD is accurate at every large α, SGD and Adam collapse."""
        return table2_claims(result["rows"], is_mnist=result["dataset"] == "MNIST")


def _train(digits: Digits, optimizer: str, batch: int, seed: int) -> dict[str, Any]:
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
            params, state = carry
            chosen = jax.lax.dynamic_slice_in_dim(order, index * size, size)
            loss = cross_entropy(hidden, images[chosen], labels[chosen])
            value, grad = jax.value_and_grad(loss)(params)
            updates, state = optimizer.update(grad, state, params, value=value, grad=grad, value_fn=loss)
            info = getattr(state, "info", None)
            report = tuple(getattr(info, name) for name in REPORTED) if info is not None else ()
            return (optax.apply_updates(params, updates), state), tuple(
                jnp.asarray(r, jnp.float32) for r in report
            )

        carry, reports = jax.lax.scan(step, carry, jnp.arange(num_batches))
        return carry, tuple(jnp.mean(r) for r in reports)

    @jax.jit
    def run(alpha: jax.Array) -> Any:
        solver = make_optimizer(optimizer, alpha)
        keys = jax.random.split(pinns.data_key(jax.random.key(seed)), epochs)
        (params, _), reports = jax.lax.scan(
            lambda carry, key: epoch(solver, carry, key), (start, solver.init(start)), keys
        )
        network = nnx.merge(graphdef, params)
        loss = optax.softmax_cross_entropy_with_integer_labels(network(images), labels).mean()
        accuracy = jnp.mean(jnp.argmax(network(test_images), axis=-1) == test_labels)
        return accuracy, loss, tuple(jnp.mean(r) for r in reports)

    compiled = run.lower(jnp.float32(1)).compile()
    row: dict[str, Any] = {"accuracy": [], "loss": []}
    if optimizer in ISGD.values():
        row |= {name: [] for name in REPORTED}
    for alpha in ALPHAS:
        accuracy, loss, reports = jax.device_get(compiled(jnp.float32(alpha)))
        values = {"accuracy": accuracy, "loss": loss}
        values |= dict(zip(REPORTED, reports, strict=False))
        for key, value in values.items():
            row[key].append(float(f"{value:.4g}"))
    return row


def draw(result: dict[str, Any], path: Path) -> None:
    """Accuracy against α, a panel for each batch size; the paper's values dashed if the data are MNIST."""
    rows = result["rows"]
    batches = sizes(rows)
    figure, axes = plt.subplots(
        1, len(batches), figsize=(3.5 * len(batches), 3.6), layout="constrained", sharey=True, squeeze=False
    )
    colors = {"SGD": "tab:gray", "Adam": "tab:orange", "ISGD": "tab:blue"}
    for axis, batch in zip(axes[0], batches, strict=True):
        for name in dict.fromkeys(row["optimizer"] for row in rows if row["batch"] == batch):
            kind = name.split(",")[0]
            marker = "s" if name == ISGD["gn"] else "o"
            color = "tab:purple" if name == ISGD["gn"] else colors[kind]
            axis.semilogx(ALPHAS, medians(rows, name, batch), marker + "-", color=color, label=name)
            if result["dataset"] == "MNIST" and name != ISGD["gn"] and (kind, batch) in PAPER:
                axis.semilogx(ALPHAS, PAPER[kind, batch], "--", color=color, lw=0.9, label=f"{kind}, paper")
        axis.set(title=f"b = {batch or 'all'}", xlabel="learning rate α", ylim=(0, 1))
        axis.grid(alpha=0.3)
    axes[0, 0].set_ylabel("test accuracy")
    axes[0, 0].legend(fontsize=7)
    figure.suptitle(result["dataset"], fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)

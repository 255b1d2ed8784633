"""The choice of a linear solver by its costs, and the error where one will not fit in memory."""

import logging
from collections.abc import Sequence

from isgd_optax._checks import check_at_least
from isgd_optax._gauss_newton._cg import cg
from isgd_optax._gauss_newton._exact import dual, primal, qr
from isgd_optax._gauss_newton._linear_solver import Jacobian, LinearSolver, Sizes, Solve
from isgd_optax._gauss_newton._memory import available_bytes, shown_bytes

_logger = logging.getLogger("isgd_optax")


def auto(
    *, memory_limit: int | None = None, candidates: Sequence[LinearSolver] = (dual(), primal(), cg())
) -> LinearSolver:
    """The solver of fewest operations among those that fit in memory, chosen at trace time.

    A solver whose operations are not known (``num_flops=None``) is taken only if no other fits, in the
    order given; if nothing fits, the last. The choice is logged under ``"isgd_optax"`` with
    the sizes and bytes: as information, or as a warning where memory forbids the cheapest, since then
    another machine takes another algorithm. To see it, ``logging.basicConfig()`` and
    ``logging.getLogger("isgd_optax").setLevel(logging.INFO)`` suffice; the root logger's handler shows it.

    Args:
      memory_limit: The bytes that may be used; None takes four fifths of the device's memory.
      candidates: The solvers to choose from, at least one.

    Returns:
      A :class:`LinearSolver`.

    Raises:
      ValueError: There are no candidates, or ``memory_limit`` is below 1.
    """
    if not candidates:
        raise ValueError("auto needs at least one candidate, e.g. dual().")
    if memory_limit is not None:
        check_at_least("memory_limit", memory_limit, 1)
    limit = lambda: available_bytes() if memory_limit is None else memory_limit

    def init(jacobian: Jacobian) -> Solve:
        chosen = _choose(candidates, jacobian.sizes, limit())
        _log_choice(chosen, candidates, jacobian.sizes, limit())
        return chosen.init(jacobian)

    chosen = lambda sizes: _choose(candidates, sizes, limit())
    known = all(candidate.num_flops for candidate in candidates)
    return LinearSolver(
        "auto",
        init,
        lambda sizes: min(chosen(sizes).num_bytes(sizes), limit()),  # what is more has been warned of
        (lambda sizes: _flops(chosen(sizes), sizes)) if known else None,
        lambda sizes: chosen(sizes).num_init_products(sizes),
    )


def as_linear_solver(
    value: str | LinearSolver, *, memory_limit: int | None = None, iterative: LinearSolver | None = None
) -> LinearSolver:
    """A linear solver from its name, or the value itself.

    Args:
      value: One of ``"auto"``, ``"dual"``, ``"primal"``, ``"qr"``, ``"cg"``, or a :class:`LinearSolver`.
      memory_limit: The bytes that ``"auto"`` may use; None takes four fifths of the device's memory.
      iterative: The solver that ``"cg"`` names, and ``"auto"`` falls back on; None takes ``cg()``.

    Raises:
      ValueError: Another name.
      TypeError: Neither a name nor a :class:`LinearSolver`.
    """
    if isinstance(value, LinearSolver):
        return value
    last = cg() if iterative is None else iterative
    named = {
        "auto": auto(memory_limit=memory_limit, candidates=(dual(), primal(), last)),
        "dual": dual(),
        "primal": primal(),
        "qr": qr(),
        "cg": last,
    }
    choices = ", ".join(map(repr, named))
    if not isinstance(value, str):
        hint = f" Call it: {value.__name__}()." if value in (auto, dual, primal, qr, cg) else ""
        raise TypeError(f"linear_solver must be one of {choices}, or a LinearSolver, got {value!r}.{hint}")
    if value not in named:
        raise ValueError(f"linear_solver must be one of {choices}, or a LinearSolver, got {value!r}.")
    return named[value]


def check_memory(
    solver: LinearSolver,
    sizes: Sizes,
    limit: int,
    alternatives: Sequence[LinearSolver] = (dual(), primal(), qr(), cg()),
) -> None:
    """Raises ValueError if ``solver`` needs more than ``limit`` bytes; :func:`auto` heeds its own.

    Args:
      solver: The solver that is to be used.
      sizes: The sizes of the problem.
      limit: The bytes that may be used.
      alternatives: The solvers that the message names where they fit.
    """
    needed = solver.num_bytes(sizes)
    if needed <= limit:
        return
    others = [other for other in alternatives if other.name != solver.name]
    fitting = [
        f"linear_solver={other.name!r} ({shown_bytes(other.num_bytes(sizes))})"
        for other in others
        if other.num_bytes(sizes) <= limit
    ]
    raise ValueError(
        f"linear_solver={solver.name!r} needs about {shown_bytes(needed)} for {_shown_sizes(sizes)}; "
        f"there are {shown_bytes(limit)}. Take {' or '.join([*fitting, 'fewer points per step'])}, or raise "
        "memory_limit."
    )


def _choose(candidates: Sequence[LinearSolver], sizes: Sizes, limit: int) -> LinearSolver:
    fitting = [candidate for candidate in candidates if candidate.num_bytes(sizes) <= limit]
    return _cheapest(fitting, sizes) if fitting else candidates[-1]


def _cheapest(candidates: Sequence[LinearSolver], sizes: Sizes) -> LinearSolver:
    return min(candidates, key=lambda candidate: _flops(candidate, sizes))


def _flops(solver: LinearSolver, sizes: Sizes) -> float:
    return float("inf") if solver.num_flops is None else solver.num_flops(sizes)


def _log_choice(chosen: LinearSolver, candidates: Sequence[LinearSolver], sizes: Sizes, limit: int) -> None:
    cheapest, shown = _cheapest(candidates, sizes), lambda solver: shown_bytes(solver.num_bytes(sizes))
    message = (
        f"linear_solver='auto' takes {chosen.name!r} for {_shown_sizes(sizes)}: "
        f"about {shown(chosen)} of {shown_bytes(limit)}."
    )
    if chosen is cheapest and chosen.num_bytes(sizes) <= limit:
        _logger.info(message)
    elif chosen is cheapest:
        _logger.warning(f"{message} Nothing fits; take fewer points per step or raise memory_limit.")
    else:
        _logger.warning(f"{message} The cheaper {cheapest.name!r} needs {shown(cheapest)}.")


def _shown_sizes(sizes: Sizes) -> str:
    n, p, bits = sizes.num_residuals, sizes.num_params, 8 * sizes.itemsize
    return f"{n:,} residuals and {p:,} parameters in {bits}-bit numbers"

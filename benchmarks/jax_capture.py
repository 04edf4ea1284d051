"""What a wrapped step costs the calling thread in JAX, between captures and at them.

python benchmarks/jax_capture.py [--rounds 3] [--scale 1] [--out results.jsonl]

Calls of the bare jitted step and of the wrapped one take turns, each on an idle device; the figures are medians of the
differences in a pair. 'over bare' is for steps that are not captured. For those that are, 'captured' is the time of the call,
'captured main' the CPU time of the calling thread in it, and 'captured cpu' that of all threads until it is in the file. 'as it
is' is the step jitted by hand, compared with itself: the noise. Before, each contender must train to the same bits as the bare
step, and its plain variant must have the jaxpr of the step without tap.
"""

from __future__ import annotations

import statistics
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from clocks import report, start, total
from measure import Contender, options, race
from targets import JAX_CALLS

if TYPE_CHECKING:
    from collections.abc import Callable

PAIRS = 600
CAPTURES = 20
METRICS = 10

CHOICES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "metrics=False": {"metrics": False, "log": ("params", "grads")},
    "params + grads": {"log": ("params", "grads")},
    "norms only": {"log": ("params", "grads"), "histograms": False},
    "everything": {"log": ("params", "grads", "updates", "optimizer_state")},
}
"""Arguments of `mbj.wrap_train_step` by title."""


def perceptron_of_two_tensors() -> Any:
    """Return the shapes of one small layer."""
    import jax_models

    return jax_models.perceptron_shapes(16, 16)


def resnet50() -> Any:
    """Return the shapes of a ResNet-50."""
    import jax_models

    return jax_models.resnet50_shapes()


TREES: dict[str, tuple[Callable[[], Any], float]] = {
    "2 tensors of 272 values": (perceptron_of_two_tensors, 5.0),
    "ResNet-50, 161 tensors, 25.6M": (resnet50, 0.2),
}
"""By title: the shapes, and how many more calls than usual are measured."""


class Trained:
    """A tree of parameters and a step that costs little beside its update, so that calls are soon done.

    Args:
        tree: of `TREES`.
        tapped: whether the optimizer is `mbj.tap(...)`.
    """

    def __init__(self, tree: str, tapped: bool = True) -> None:
        import jax
        import jax_models
        import optax

        import multiboard.jax as mbj

        optimizer = optax.sgd(1e-3, 0.9)
        self.tx = mbj.tap(optimizer) if tapped else optimizer
        params = jax_models.trained(TREES[tree][0]())
        self.state = (params, self.tx.init(params))
        self.bare = jax.jit(self.update, donate_argnums=(0, 1))

    def update(self, params: Any, opt_state: Any) -> tuple[Any, Any, dict[str, Any]]:
        """Make one update; return the new state and ten metrics."""
        import jax
        import optax

        grads = jax.tree.map(lambda p: 0.01 * p, params)
        updates, opt_state = self.tx.update(grads, opt_state, params)
        first = jax.tree.leaves(params)[0].reshape(-1)
        return optax.apply_updates(params, updates), opt_state, {f"metric_{k}": first[k] for k in range(METRICS)}


class Wrapped:
    """A wrapped step, which is captured only on request."""

    def __init__(self, trained: Trained, directory: str, choice: str, every: int = 10**6) -> None:
        import multiboard as mb
        import multiboard.jax as mbj

        self.run = mb.Run(directory, facts=False)
        self._every = every
        self.step = mbj.wrap_train_step(
            trained.update, self.run, every=every, start_step=1, donate_argnums=(0, 1), **CHOICES[choice]
        )

    def captured(self, *arguments: Any) -> Any:
        """Make one update that is captured."""
        self.step.step = self._every * (1 + self.step.step // self._every)
        return self.step(*arguments)


def measure(choice: str, directory: str, tree: str, scale: float) -> None:
    """Measure one choice on one tree."""
    trained = Trained(tree)
    pairs = max(10, int(PAIRS * TREES[tree][1] * scale))
    if choice == "as it is":
        bare, over = _compare(trained, trained.bare, pairs)
        report(over_bare_us=over, bare_us=bare)
        return
    _assert_unchanged(choice, f"{directory}/bits", tree)
    wrapped = Wrapped(trained, f"{directory}/run", choice)
    bare, over = _compare(trained, wrapped.step, pairs)
    captures, both = 2 + max(3, int(CAPTURES * scale)), (trained.bare, wrapped.captured)
    rows = [[_with_all_threads(trained, step, wrapped.run.flush) for step in both] for _ in range(captures)]
    wrapped.run.close()

    def added_ms(clock: str) -> float:
        return statistics.median(captured[clock] - plain[clock] for plain, captured in rows[2:]) * 1e3

    report(
        over_bare_us=over,
        bare_us=bare,
        captured_ms=added_ms("call_s"),
        captured_main_ms=added_ms("call_cpu_s"),
        captured_cpu_ms=added_ms("cpu_s"),
        jaxpr_equal=1,
    )


def _compare(trained: Trained, step: Callable[..., Any], pairs: int) -> tuple[float, float]:
    """Return the time of a bare call and what one of `step` takes more, in microseconds."""
    rows = []
    for pair in range(pairs + 5):
        calls = {True: partial(_call, trained, step), False: partial(_call, trained, trained.bare)}
        taken = {other: calls[other]()[0] for other in ((True, False) if pair % 2 else (False, True))}
        rows.append((taken[False], taken[True]))
    del rows[:5]
    return statistics.median(bare for bare, _ in rows) * 1e6, statistics.median(other - bare for bare, other in rows) * 1e6


def _call(trained: Trained, step: Callable[..., Any]) -> tuple[float, float]:
    """Return the seconds inside one call on an idle device, and the CPU seconds of this thread."""
    import jax

    jax.block_until_ready(trained.state)
    cpu, begin = time.thread_time(), time.perf_counter()
    result = step(*trained.state)
    taken = time.perf_counter() - begin, time.thread_time() - cpu
    trained.state = result[:2]
    return taken


def _with_all_threads(trained: Trained, step: Callable[..., Any], flush: Callable[[], object]) -> dict[str, float]:
    import jax

    jax.block_until_ready(trained.state)
    start()
    wall, cpu = _call(trained, step)
    jax.block_until_ready(trained.state)
    flush()
    return total() | {"call_s": wall, "call_cpu_s": cpu}


def _assert_unchanged(choice: str, directory: str, tree: str) -> None:
    """Compare the weights after some steps, every other captured, and the program of the others."""
    import jax

    bare, taken, untapped = Trained(tree), Trained(tree), Trained(tree, tapped=False)
    wrapped = Wrapped(taken, directory, choice, every=2)
    for _ in range(3):
        bare.state = bare.bare(*bare.state)[:2]
        taken.state = wrapped.step(*taken.state)[:2]
    wrapped.run.close()
    jax.tree.map(np.testing.assert_array_equal, taken.state, bare.state)
    program = str(jax.make_jaxpr(wrapped.step._variants.plain)(*taken.state))  # noqa: SLF001  # what it runs, and no copy of it
    if program != str(jax.make_jaxpr(untapped.bare)(*taken.state)):
        raise ValueError("steps between captures have another jaxpr than the bare step")


def contenders(tree: str, scale: float) -> dict[str, Contender]:
    """Return everything that can be logged, for one tree."""
    code = "import jax_capture; jax_capture.measure({name!r}, d, {tree!r}, {scale})"
    check = "import clocks; clocks.report(verified='the same bits, the same jaxpr')"
    return {name: Contender("jax", code.format(name=name, tree=tree, scale=scale), check, ("flax", "optax")) for name in CHOICES}


def main() -> None:
    """Run the races."""
    arguments = options(__doc__)
    for tree in TREES:
        race(f"{JAX_CALLS}: {tree}", contenders(tree, arguments.scale), arguments)


if __name__ == "__main__":
    main()

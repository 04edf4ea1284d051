"""What logging costs a whole training loop in JAX: 10 scalars per step, all parameters and gradients every 50 steps.

python benchmarks/jax_loop.py [--rounds 3] [--scale 1] [--out results.jsonl]

A perceptron of 0.67 million parameters with Adam on the CPU, jitted, its state donated, with small and with large batches. Blocks
of 50 steps without and with logging take turns in one process, and so does which of them is first; the figures are medians of the
differences in a pair. 'empty call' logs nothing: its row is the noise. Each block waits for its last step, with logging also for
a flush, and what that costs counts. Where a peer logs gradients it gets a second compiled step that returns them, so that its
usual steps are the bare ones, too. 'calls' is the time that the training thread spends in steps and logging calls beyond that of
bare steps. Metrics are not kept, as in a training; what must be in the file is found by the same training without logging.
"""

from __future__ import annotations

import time
from itertools import count
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from clocks import lap, report, start, total
from contenders import LOGGERS, OURS
from measure import Contender, of_logger, options, race
from paired import BLOCK, PAIRS, TAGS, check_logged, in_turns
from targets import JAX_LOOP, JAX_LOOP_OF_LARGE_BATCHES

if TYPE_CHECKING:
    from collections.abc import Callable

Step: TypeAlias = "Callable[..., tuple[Any, Any, dict[str, Any]]]"
"""In the place of the bare step: its number and the arguments in, the result of the bare step out."""

BATCHES = {128: JAX_LOOP, 352: JAX_LOOP_OF_LARGE_BATCHES}
"""By the size of a batch: the title."""
WIDTHS = (784, 512, 512, 10)


class Loop:
    """A training: its state, steps and the data of one batch of so many examples."""

    def __init__(self, batch: int) -> None:
        import jax
        import jax_models
        import optax

        import multiboard.jax as mbj

        self.tx = mbj.tap(optax.adam(1e-4))
        params = jax_models.trained(jax_models.perceptron_shapes(*WIDTHS))
        self.state: tuple[Any, Any] = (params, self.tx.init(params))
        rng = np.random.default_rng(0)
        self.x = jax.device_put(rng.standard_normal((batch, WIDTHS[0]), np.float32))
        self.y = jax.device_put(rng.integers(0, WIDTHS[-1], batch))
        self.bare = jax.jit(self.update, donate_argnums=(0, 1))

    def update(self, params: Any, opt_state: Any, x: Any, y: Any) -> tuple[Any, Any, dict[str, Any]]:
        """Do one step: new parameters, new state of the optimizer, metrics."""
        return self.update_with_gradients(params, opt_state, x, y)[:3]

    def update_with_gradients(self, params: Any, opt_state: Any, x: Any, y: Any) -> tuple[Any, Any, dict[str, Any], Any]:
        """Do one step and return the gradients as well."""
        import jax
        import jax_models
        import optax

        def loss_of(params: Any) -> tuple[Any, Any]:
            logits = jax_models.perceptron(params, x)
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), logits.mean(0)

        (loss, means), grads = jax.value_and_grad(loss_of, has_aux=True)(params)
        updates, opt_state = self.tx.update(grads, opt_state, params)
        metrics = dict(zip(TAGS, (loss, *(means[k] for k in range(1, len(TAGS)))), strict=True))
        return optax.apply_updates(params, updates), opt_state, metrics, grads


def wrapped(logger: Any, loop: Loop) -> Step:
    """Log with `mbj.wrap_train_step`."""
    import multiboard.jax as mbj

    step = mbj.wrap_train_step(loop.update, logger.run, every=BLOCK, log=("params", "grads"), donate_argnums=(0, 1))
    return lambda _number, *arguments: step(*arguments)


def with_second_step(logger: Any, loop: Loop) -> Step:
    """Log metrics with one call per step, and distributions with one call per kind: new parameters, and the gradients."""
    import jax

    with_gradients = jax.jit(loop.update_with_gradients, donate_argnums=(0, 1))

    def step(number: int, *arguments: Any) -> tuple[Any, Any, dict[str, Any]]:
        if number % BLOCK:
            params, opt_state, metrics = loop.bare(*arguments)
        else:
            params, opt_state, metrics, grads = with_gradients(*arguments)
            # Parameters are donated to the next step, which a writer's own thread would be too late for.
            logger.histograms("params", jax.tree.map(np.array, params), number)
            logger.histograms("grads", grads, number)
        logger.step(metrics, number)
        return params, opt_state, metrics

    return step


def not_at_all(_logger: Any, loop: Loop) -> Step:
    """Log nothing."""
    return lambda _number, *arguments: loop.bare(*arguments)


WAYS: dict[str, Callable[[Any, Loop], Step]] = {
    OURS: wrapped,
    "clu SummaryWriter": with_second_step,
    "clu AsyncWriter": with_second_step,
    "empty call": not_at_all,
}


def measure(name: str, log_dir: str, batch: int, pairs: int) -> None:
    """Measure a logger in the loop."""
    loop = Loop(batch)
    logger = LOGGERS[name].open(log_dir)
    attached, blocks = WAYS[name](logger, loop), count()
    figures = in_turns(pairs, lambda: _plain_block(loop), lambda: _block(loop, attached, next(blocks), logger.flush))
    logger.close()
    report(**figures)


def _plain_block(loop: Loop) -> dict[str, float]:
    return _block(loop, lambda _number, *arguments: loop.bare(*arguments), 0, lambda: None)


def _block(loop: Loop, step: Step, block: int, flush: Callable[[], object]) -> dict[str, float]:
    import jax

    jax.block_until_ready(loop.state)
    calls = 0.0
    start()
    for number in range(block * BLOCK, (block + 1) * BLOCK):
        begin = time.perf_counter()
        params, opt_state, _ = step(number, *loop.state, loop.x, loop.y)
        calls += time.perf_counter() - begin
        loop.state = (params, opt_state)
    jax.block_until_ready(loop.state)
    passed = lap()
    flush()
    return total() | {"main_s": passed["caller_cpu_s"], "wall_s": passed["wall_s"], "calls_s": calls}


def check(name: str, log_dir: str, batch: int, pairs: int) -> None:
    """Read all numbers and the distributions of each block back."""
    import jax

    loop = Loop(batch)
    kept: list[dict[str, Any]] = []

    def keep(_number: int, *arguments: Any) -> tuple[Any, Any, dict[str, Any]]:
        result = loop.bare(*arguments)
        kept.append(result[2])
        return result

    in_turns(pairs, lambda: _plain_block(loop), lambda: _block(loop, keep, 0, lambda: None))
    logged = [{tag: float(value) for tag, value in metrics.items()} for metrics in kept]
    report(verified=check_logged(name, log_dir, logged, [leaf.size for leaf in jax.tree.leaves(loop.state[0])]))


def contenders(batch: int, pairs: int) -> dict[str, Contender]:
    """Return the loggers with which people log a model in JAX."""
    code, verify = (
        f"import jax_loop; jax_loop.measure({{name!r}}, d, {batch}, {pairs})",
        f"jax_loop.check({{name!r}}, d, {batch}, {pairs})",
    )
    return {name: of_logger(name, code, verify, ("jax", "flax", "optax")) for name in WAYS}


def main() -> None:
    """Run the races."""
    arguments = options(__doc__)
    for batch, title in BATCHES.items():
        race(title, contenders(batch, max(2, int(PAIRS * arguments.scale))), arguments)


if __name__ == "__main__":
    main()

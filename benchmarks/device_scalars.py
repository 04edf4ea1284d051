"""What ten scalars that are still on the device cost a training loop, in JAX and in PyTorch, on the CPU.

python benchmarks/device_scalars.py [--rounds 5] [--out results.jsonl]

Blocks of steps without and with logging take turns in one process. 'block' is the time inside the logging call on the training
thread, 'added CPU' what a block with logging and flushing costs more on all threads, per step. A logger that refuses the arrays
of a framework gets `float()` of each, as its users write, and its row says so.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from clocks import report, start, total
from contenders import LOGGERS
from measure import Contender, of_logger, options, race
from readback import check_scalars
from targets import IN_JAX, IN_TORCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TAGS = tuple(f"train/metric_{k}" for k in range(10))
BLOCK = 40
"""Steps in a block; the first pair of blocks is a warm-up."""

NAMES = [name for name, logger in LOGGERS.items() if logger.form not in {"png", "trackio"}]
_logged: list[dict[str, Any]] = []
"""The metrics of all logged steps, for `check`."""

Step = dict[str, Any]


def jax_steps() -> tuple[Iterator[Step], Callable[[Step], None]]:
    """Return an endless jitted loop of about 5 ms per step that yields its metrics, and a function that waits for them."""
    import jax
    import jax.numpy as jnp

    @jax.jit
    def advance(state: Any) -> Any:
        for _ in range(2):
            state = jnp.tanh(state @ weights)
        return state, {tag: state[k].mean() for k, tag in enumerate(TAGS)}

    def steps() -> Iterator[Step]:
        state = jnp.ones((512, 512))
        while True:
            state, metrics = advance(state)
            yield metrics

    weights = jnp.asarray(np.random.default_rng(0).normal(0, 0.05, (512, 512)), jnp.float32)
    return steps(), jax.block_until_ready


def torch_steps() -> tuple[Iterator[Step], Callable[[Step], None]]:
    """Return an endless training loop that yields ten 0-d tensors, half of them with a graph behind them."""
    import torch

    torch.set_num_threads(1)  # leaves a core to writer threads, and none that spins
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(256, 512), torch.nn.Tanh(), torch.nn.Linear(512, 5))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    x, y = torch.randn(512, 256), torch.randn(512, 5)

    def steps() -> Iterator[Step]:
        while True:
            parts = ((model(x) - y) ** 2).mean(0)
            optimizer.zero_grad()
            parts.sum().backward()
            optimizer.step()
            yield dict(zip(TAGS, (*parts.unbind(), *(parts.detach() * 2).unbind()), strict=True))

    return steps(), lambda _metrics: None


def loop(name: str, log_dir: str, framework: str, blocks: int) -> None:
    """Measure a logger in the loop of a framework."""
    steps, wait = {"jax": jax_steps, "torch": torch_steps}[framework]()
    convert = not _accepts(name, f"{log_dir}/probe", next(steps))
    logger = LOGGERS[name].open(f"{log_dir}/run")
    added, blocked, plain_ms = [], [], []
    for _ in range(blocks + 1):
        plain_wall, plain_cpu = _plain_block(steps, wait)
        added.append(_logged_block(steps, wait, logger, convert, blocked) - plain_cpu)
        plain_ms.append(plain_wall * 1e3 / BLOCK)
    logger.close()
    del blocked[:BLOCK]
    report(
        block_us=statistics.median(blocked) * 1e6,
        block_p95_us=statistics.quantiles(blocked, n=20)[-1] * 1e6,
        added_cpu_us=statistics.median(added[1:]) / BLOCK * 1e6,
        step_ms=statistics.median(plain_ms[1:]),
        with_float=int(convert),
    )


def _accepts(name: str, log_dir: str, metrics: Step) -> bool:
    """Tell whether a logger takes the arrays of the loop as they are, also later on its own thread."""
    logger = LOGGERS[name].open(log_dir)
    try:
        logger.step(metrics, 0)
        logger.flush()
        logger.step(metrics, 1)
        logger.close()
    except Exception:  # noqa: BLE001  # each has errors of its own
        return False
    return True


def _plain_block(steps: Iterator[Step], wait: Callable[[Step], None]) -> tuple[float, float]:
    start()
    for _ in range(BLOCK):
        metrics = next(steps)
    wait(metrics)
    passed = total()
    return passed["wall_s"], passed["cpu_s"]


def _logged_block(steps: Iterator[Step], wait: Callable[[Step], None], logger: Any, convert: bool, blocked: list[float]) -> float:
    """Return CPU seconds of all threads; append the seconds inside each logging call to `blocked`."""
    log = logger.step
    start()
    for _ in range(BLOCK):
        metrics = next(steps)
        step = len(_logged)
        begin = time.perf_counter()
        if convert:
            log({tag: float(value) for tag, value in metrics.items()}, step)
        else:
            log(metrics, step)
        blocked.append(time.perf_counter() - begin)
        _logged.append(metrics)
    wait(metrics)
    logger.flush()
    return total()["cpu_s"]


def check(name: str, log_dir: str) -> None:
    """Read all numbers back."""
    expected = {tag: np.array([float(metrics[tag]) for metrics in _logged]) for tag in TAGS}
    report(verified=check_scalars(LOGGERS[name].form, f"{log_dir}/run", expected))


def contenders(framework: str, blocks: int) -> dict[str, Contender]:
    """Return the loggers that have scalars."""
    code = "import os; os.mkdir(d + '/run'); os.mkdir(d + '/probe')\nimport device_scalars\n"
    code += f"device_scalars.loop({{name!r}}, d, {framework!r}, {blocks})"
    return {name: of_logger(name, code, "device_scalars.check({name!r}, d)", (framework,)) for name in NAMES}


def main() -> None:
    """Run the races."""
    arguments = options(__doc__)
    blocks = max(2, int(8 * arguments.scale))
    race(IN_JAX, contenders("jax", blocks), arguments)
    race(IN_TORCH, contenders("torch", blocks), arguments)


if __name__ == "__main__":
    main()

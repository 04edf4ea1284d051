"""What logging costs a whole training loop in PyTorch: 10 scalars per step, all parameters and gradients every 50 steps.

python benchmarks/torch_loop.py [--rounds 3] [--scale 1] [--out results.jsonl]

A small convolutional network on the CPU, one intra-op thread. Blocks of 50 steps without and with logging take turns in one
process, and so does which of them is first; the figures are medians of the differences in a pair. 'empty call' logs nothing: its
row is the noise. Each block with logging is flushed, and what that costs counts. 'calls' is the time inside the logging calls and
the update beyond that of a plain update; hooks of `wandb.watch` run elsewhere.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from clocks import lap, report, start, total
from contenders import DROP_IN, LOGGERS, OURS
from measure import Contender, of_logger, options, race
from paired import BLOCK, PAIRS, TAGS, check_logged, in_turns
from targets import LOOP

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = 128

_logged: list[dict[str, float]] = []
"""The metrics of all logged steps, for `check`."""


class Loop:
    """A training: model, optimizer, and data of one batch."""

    def __init__(self) -> None:
        import models
        import torch

        torch.set_num_threads(1)  # leaves a core to writer threads, and none that spins
        torch.manual_seed(0)
        self.model = models.SmallNetwork()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-4)
        self.x, self.y = torch.randn(BATCH, 3, 16, 16), torch.randint(0, 10, (BATCH,))

    def backward(self) -> dict[str, Any]:
        """Do one step up to the update; return its metrics as 0-d tensors."""
        from torch.nn import functional

        logits = self.model(self.x)
        loss = functional.cross_entropy(logits, self.y)
        self.optimizer.zero_grad()
        loss.backward()
        means = logits.detach().mean(0)
        return dict(zip(TAGS, (loss.detach(), *means[1:].unbind()), strict=True))


class Attached(NamedTuple):
    """What logs in a block.

    Attributes:
        captured: called before the update of a step at which distributions are due.
        detach: called after the block.
    """

    captured: Callable[[int], None]
    detach: Callable[[], object]


def watched(logger: Any, loop: Loop) -> Attached:
    """Watch with `mbt.watch`."""
    import multiboard.torch as mbt

    watch = mbt.watch(loop.model, loop.optimizer, logger.run, every=BLOCK, log=("params", "grads"), start_step=len(_logged))
    return Attached(lambda _step: None, watch.remove)


def one_by_one(logger: Any, loop: Loop) -> Attached:
    """Log each tensor with one call, as people write it for a SummaryWriter."""

    def captured(step: int) -> None:
        for name, parameter in loop.model.named_parameters():
            logger.histogram(f"params/{name}", parameter, step)
            logger.histogram(f"grads/{name}", parameter.grad, step)

    return Attached(captured, lambda: None)


def watched_by_wandb(logger: Any, loop: Loop) -> Attached:
    """Watch with `wandb.watch`."""
    logger.run.watch(loop.model, log="all", log_freq=BLOCK, idx=0)
    return Attached(lambda _step: None, lambda: logger.run.unwatch(loop.model))


def not_at_all(_logger: Any, _loop: Loop) -> Attached:
    """Log nothing."""
    return Attached(lambda _step: None, lambda: None)


WAYS: dict[str, Callable[[Any, Loop], Attached]] = {
    OURS: watched,
    DROP_IN: one_by_one,
    "torch.utils.tensorboard": one_by_one,
    "tensorboardX": one_by_one,
    "wandb offline": watched_by_wandb,
    "empty call": not_at_all,
}


def measure(name: str, log_dir: str, pairs: int) -> None:
    """Measure a logger in the loop."""
    loop = Loop()
    logger = LOGGERS[name].open(log_dir)
    figures = in_turns(pairs, lambda: _plain_block(loop), lambda: _logged_block(name, logger, loop))
    logger.close()
    report(**figures)


def _plain_block(loop: Loop) -> dict[str, float]:
    calls, kept = 0.0, []
    start()
    for _ in range(BLOCK):
        kept.append(loop.backward())  # as the other block does: memory that is not used again costs time, too
        begin = time.perf_counter()
        loop.optimizer.step()
        calls += time.perf_counter() - begin
    passed = lap()
    return total() | {"main_s": passed["caller_cpu_s"], "wall_s": passed["wall_s"], "calls_s": calls}


def _logged_block(name: str, logger: Any, loop: Loop) -> dict[str, float]:
    attached = WAYS[name](logger, loop)
    log, calls, kept, first = logger.step, 0.0, [], len(_logged)
    start()
    for number in range(BLOCK):
        metrics = loop.backward()
        step = first + number
        begin = time.perf_counter()
        if number == 0:
            attached.captured(step)
        log(metrics, step)
        loop.optimizer.step()
        calls += time.perf_counter() - begin
        kept.append(metrics)
    passed = lap()
    logger.flush()
    found = total() | {"main_s": passed["caller_cpu_s"], "wall_s": passed["wall_s"], "calls_s": calls}
    attached.detach()
    _logged.extend({tag: float(value) for tag, value in metrics.items()} for metrics in kept)
    return found


def check(name: str, log_dir: str) -> None:
    """Read all numbers and the distributions of each block back."""
    sizes = [parameter.numel() for parameter in Loop().model.parameters()]
    report(verified=check_logged(name, log_dir, _logged, sizes))


def contenders(pairs: int) -> dict[str, Contender]:
    """Return the loggers that can log distributions of a model in PyTorch."""
    code, verify = f"import torch_loop; torch_loop.measure({{name!r}}, d, {pairs})", "torch_loop.check({name!r}, d)"
    return {name: of_logger(name, code, verify, ("torch",)) for name in WAYS}


def main() -> None:
    """Run the race."""
    arguments = options(__doc__)
    race(LOOP, contenders(max(2, int(PAIRS * arguments.scale))), arguments)


if __name__ == "__main__":
    main()

"""What one pass over all parameters of a model costs: their distributions, from the call until they are in the file.

python benchmarks/histogram_pass.py [--rounds 5] [--scale 1] [--out results.jsonl]

Each process makes one pass that is reported apart ('first': imports, connections, fresh memory) and several more, whose medians
count; each is flushed before the next. PyTorch has one intra-op thread. The floors read all values once (sum) and copy them once
(clone), and write nothing.
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from clocks import bytes_in, lap, report, start, total
from contenders import DROP_IN, LOGGERS, OURS
from measure import Contender, of_logger, options, race
from readback import _history_of_wandb, _values_of_tensorboard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt
    from torch import nn

PASSES = 5
"""Passes that count in each process, after the first."""
SETTLING = 0.2
"""Seconds for writer threads whose flush does not wait for their queue."""

Taking: TypeAlias = "Callable[[int], object]"
Rows: TypeAlias = "npt.NDArray[np.float64]"


def model_of(title: str) -> nn.Module:
    """Return the model of a title of `models.LISTS`."""
    import models
    import torch

    torch.set_num_threads(1)  # more of them spin after each kernel, whoever called it
    return models.trained(models.LISTS[title])


def watched(logger: Any, model: nn.Module) -> Taking:
    """Take a pass with `mbt.watch`: no parameter has a gradient, so the optimizer's step is its hooks and nothing else."""
    import torch

    import multiboard.torch as mbt

    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    mbt.watch(model, optimizer, logger.run, every=1, log=("params",))
    return lambda _step: optimizer.step()


def logged_params(logger: Any, model: nn.Module) -> Taking:
    """Take a pass with `mbt.log_params`."""
    import multiboard.torch as mbt

    return lambda step: mbt.log_params(model, logger.run, step)


def one_by_one(logger: Any, model: nn.Module) -> Taking:
    """Take a pass with one call per parameter, as people write it for a SummaryWriter."""

    def take(step: int) -> None:
        for name, parameter in model.named_parameters():
            logger.histogram(name, parameter, step)

    return take


def watched_by_wandb(logger: Any, model: nn.Module) -> Taking:
    """Take a pass with the hook of `wandb.watch`, around a forward pass that does nothing."""
    from torch import nn

    class Still(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, x: Any) -> Any:
            return x

    still = Still()
    logger.run.watch(still, log="parameters", log_freq=1)

    def take(step: int) -> None:
        still(0)
        logger.run.log({}, step=step, commit=True)

    return take


def summed(_logger: Any, model: nn.Module) -> Taking:
    """Read all values."""
    return lambda _step: [parameter.detach().sum() for parameter in model.parameters()]


def cloned(_logger: Any, model: nn.Module) -> Taking:
    """Copy all values into fresh memory."""
    return lambda _step: [parameter.detach().clone() for parameter in model.parameters()]


WAYS: dict[str, tuple[str, Callable[[Any, Any], Taking]]] = {
    OURS: (OURS, watched),
    "multiboard log_params": (OURS, logged_params),
    DROP_IN: (DROP_IN, one_by_one),
    "torch.utils.tensorboard": ("torch.utils.tensorboard", one_by_one),
    "tensorboardX": ("tensorboardX", one_by_one),
    "wandb offline": ("wandb offline", watched_by_wandb),
    "floor: sum": ("empty call", summed),
    "floor: clone": ("empty call", cloned),
}
"""By contender: the name of its logger, and how it takes a pass."""


def measure(way: str, log_dir: str, title: str, passes: int) -> None:
    """Measure one way to take the distributions of a list."""
    model = model_of(title)
    name, prepare = WAYS[way]
    logger = LOGGERS[name].open(log_dir)
    measure_passes(logger, prepare(logger, model), log_dir, sum(1 for _ in model.parameters()), passes)


def measure_passes(logger: Any, take: Taking, log_dir: str, tensors: int, passes: int) -> None:
    """Make all passes of a process and report them."""
    time.sleep(0.3)
    first = _pass(logger, take, 0)
    rest = [_pass(logger, take, 1 + number) for number in range(passes)]
    logger.close()
    report(
        total_cpu_ms=statistics.median(row["cpu_s"] for row in rest) * 1e3,
        caller_ms=statistics.median(row["caller_cpu_s"] for row in rest) * 1e3,
        caller_wall_ms=statistics.median(row["caller_wall_s"] for row in rest) * 1e3,
        first_total_cpu_ms=first["cpu_s"] * 1e3,
        bytes_per_tensor=bytes_in(log_dir) / (1 + passes) / tensors,
        memory_mb=sum(row["memory_mb"] for row in (first, *rest)),
    )


def _pass(logger: Any, take: Taking, step: int) -> dict[str, float]:
    start()
    take(step)
    passed = lap()
    logger.flush()
    time.sleep(SETTLING)
    return total() | {"caller_wall_s": passed["wall_s"], "caller_cpu_s": passed["caller_cpu_s"]}


def check(way: str, log_dir: str, title: str, passes: int) -> None:
    """Read all histograms back."""
    parameters = {name: parameter.detach().numpy() for name, parameter in model_of(title).named_parameters()}
    check_passes(LOGGERS[WAYS[way][0]].form, log_dir, parameters, passes)


def check_passes(form: str, log_dir: str, parameters: dict[str, npt.NDArray[np.float32]], passes: int) -> None:
    """Compare all histograms: of ours the bucket rows must be those of the core, of the others the counts must add up."""
    reader, found = read_histograms(form, log_dir)
    if len(found) != (1 + passes) * len(parameters):
        raise ValueError(f"{len(found)} histograms instead of {(1 + passes) * len(parameters)}")
    by_step: dict[int, dict[str, Rows]] = defaultdict(dict)
    for (tag, step), rows in found.items():
        by_step[step][tag.removeprefix("parameters/model.")] = rows
    for step in range(1 + passes):
        taken = by_step[step]
        by_name = taken if taken.keys() == parameters.keys() else dict(zip(parameters, taken.values(), strict=True))
        for name, parameter in parameters.items():
            _compare(form, by_name[name], parameter)
    report(verified=reader)


def _compare(form: str, rows: Rows, values: npt.NDArray[np.float32]) -> None:
    if round(rows[:, 2].sum()) != values.size:
        raise ValueError(f"{rows[:, 2].sum():.0f} values were counted instead of {values.size}")
    if form == "ours":
        from multiboard import buckets

        np.testing.assert_array_equal(np.float32(rows), np.float32(buckets.measure(values).rows()))


def read_histograms(form: str, log_dir: str) -> tuple[str, dict[tuple[str, int], Rows]]:
    """Return who read, and rows left, right, count `[k, 3]` by tag and step, in the order of writing."""
    reader, read = _READERS[form]
    return reader, {(tag, step): rows for tag, step, rows in read(Path(log_dir))}


def _of_tensorboard(log_dir: Path) -> Iterator[tuple[str, int, Rows]]:
    from tensorboard.util.tensor_util import make_ndarray

    for step, value in _values_of_tensorboard(log_dir):
        array = make_ndarray(value.tensor)
        if array.ndim == 2:
            yield value.tag, step, array


def _of_multiboard(log_dir: Path) -> Iterator[tuple[str, int, Rows]]:
    import multiboard

    columns = multiboard.read(log_dir)["."].histograms
    for tag, column in columns.items():
        for step, rows in zip(column.step.tolist(), column.value, strict=True):
            yield tag, step, rows


def _of_wandb(log_dir: Path) -> Iterator[tuple[str, int, Rows]]:
    parts: dict[tuple[str, int], dict[str, Any]] = defaultdict(dict)
    for key, step, value in _history_of_wandb(log_dir):
        tag, _, part = key.rpartition(".")
        parts[tag, step][part] = value
    for (tag, step), found in parts.items():
        if found.get("_type") == "histogram":
            yield tag, step, np.column_stack([found["bins"][:-1], found["bins"][1:], found["values"]])


_READERS: dict[str, tuple[str, Callable[[Path], Iterator[tuple[str, int, Rows]]]]] = {
    "ours": ("TensorBoard", _of_tensorboard),
    "events": ("multiboard", _of_multiboard),
    "wandb": ("its own messages", _of_wandb),
}


def contenders(title: str, passes: int) -> dict[str, Contender]:
    """Return all ways to take the distributions of a list."""
    found = {}
    for way, (name, _) in WAYS.items():
        call = f"({way!r}, d, {title!r}, {passes})"
        found[way] = of_logger(
            name, f"import histogram_pass; histogram_pass.measure{call}", f"histogram_pass.check{call}", ("torch",)
        )
    return found


def main() -> None:
    """Run the races."""
    import models

    arguments = options(__doc__)
    for title in models.LISTS:
        race(f"histograms: {title}", contenders(title, max(1, int(PASSES * arguments.scale))), arguments)


if __name__ == "__main__":
    main()

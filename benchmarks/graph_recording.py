"""What the graph of a model costs, beside one forward pass of it.

python benchmarks/graph_recording.py [--rounds 3] [--scale 1] [--out results.jsonl]

'times_forward' is the wall time of a pass with its graph over that of a pass without, medians of turns in one process, on one
thread; 'cpu_times_forward' the same of the CPU time of all threads, with what is written afterwards. An example is a call of its
own, so that its figures hold no other pass.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from clocks import lap, report, start, total
from measure import Contender, options, race

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

TURNS = 6
TORCH = "torch.utils.tensorboard"
MODELS = ("ResNet-50, 1 x 3 x 224 x 224", "GPT-2 small, 1 x 128")


def network(kind: str) -> tuple[nn.Module, Tensor]:
    """Return a model of `MODELS` and what it takes."""
    import torch
    from models import GPT2, ResNet50

    torch.set_num_threads(1)
    torch.manual_seed(0)
    if kind == MODELS[0]:
        return ResNet50(), torch.randn(1, 3, 224, 224)
    return GPT2(), torch.randint(0, 50_257, (1, 128))


def next_call(model: nn.Module, x: Tensor, run: Any, tag: str) -> None:
    """Observe one pass."""
    import multiboard.torch as mbt

    mbt.graph(model, run, tag=tag)
    model(x)


def example(model: nn.Module, x: Tensor, run: Any, tag: str) -> None:
    """Record shapes only."""
    import multiboard.torch as mbt

    mbt.graph(model, run, tag=tag, example=x)


def plain(model: nn.Module, x: Tensor, *_: Any) -> None:
    """Do one pass."""
    model(x)


WAYS: dict[str, Callable[..., None]] = {"multiboard": next_call, "multiboard with an example": example, "plain": plain}


def measure(name: str, directory: str, kind: str, turns: int) -> None:
    """Measure one of `WAYS`."""
    import multiboard as mb

    model, x = network(kind)
    rows = []
    with mb.Run(directory) as run:
        for turn in range(1 + turns):
            found = [clocks(run, way, model, x, str(turn)) for way in (plain, WAYS[name])[:: 1 if turn % 2 else -1]]
            rows.append(found[:: 1 if turn % 2 else -1])
    _report(rows[1:])


def measure_torch(directory: str, kind: str) -> None:
    """Measure add_graph of torch.utils.tensorboard, which is called once."""
    from torch.utils.tensorboard import SummaryWriter

    model, x = network(kind)
    before = [clocks(None, plain, model, x, "") for _ in range(3)][1:]
    with SummaryWriter(directory) as writer:
        start()
        writer.add_graph(model, x)
        passed = total()
    _report([[one, passed] for one in before])


def clocks(run: Any, way: Callable[..., None], model: nn.Module, x: Tensor, tag: str) -> dict[str, float]:
    """Return the wall time of a call, and the CPU time until all is written."""
    start()
    way(model, x, run, tag)
    passed = lap()
    if run is not None:
        run.flush()
    return total() | {"wall_s": passed["wall_s"]}


def _report(rows: list[list[dict[str, float]]]) -> None:
    report(
        times_forward=statistics.median(taken["wall_s"] / without["wall_s"] for without, taken in rows),
        cpu_times_forward=statistics.median(taken["cpu_s"] / without["cpu_s"] for without, taken in rows),
        forward_ms=statistics.median(without["wall_s"] for without, _ in rows) * 1e3,
        added_ms=statistics.median(taken["wall_s"] - without["wall_s"] for without, taken in rows) * 1e3,
    )


def contenders(kind: str, turns: int) -> dict[str, Contender]:
    """Return all ways to a graph of one model."""
    code = "import graph_recording; graph_recording.measure({name!r}, d, {kind!r}, {turns})"
    check = (
        "import multiboard, clocks; graphs = multiboard.read(d)['.'].graphs; assert len(graphs['1/op'].value[0]) > 30_000; "
        "clocks.report(verified='read back')"
    )
    ours = {name: Contender("torch", code.format(name=name, kind=kind, turns=turns), check) for name in WAYS if name != "plain"}
    ours["plain"] = Contender("torch", code.format(name="plain", kind=kind, turns=turns))
    peer = f"import graph_recording; graph_recording.measure_torch(d, {kind!r})"
    return ours | {TORCH: Contender("torch", peer, needs=("tensorboard",))}


def main() -> None:
    """Run the races."""
    arguments = options(__doc__)
    for kind in MODELS:
        race(f"graph: {kind}", contenders(kind, max(2, int(TURNS * arguments.scale))), arguments)


if __name__ == "__main__":
    main()

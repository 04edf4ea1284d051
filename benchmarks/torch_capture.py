"""What a watched step costs the training thread, idle and captured, by what is captured; and the hooks that others use.

python benchmarks/torch_capture.py [--rounds 3] [--scale 1] [--out results.jsonl]

Short blocks of steps without and with take turns in one process; the figures are medians of the differences in a pair, per step:
'idle' at steps that are not captured, 'captured' at steps that are (every step of a block, which is then flushed), on the
training thread and on all threads. Before, each contender must train to the same bits as the plain loop. The hooks of others do
nothing but count, so that they have no captured steps; 'plain' is the noise.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from clocks import lap, report, start, total
from measure import Contender, options, race

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn
    from torch.optim import Optimizer

IDLE_STEPS = 10
CAPTURED_STEPS = 4
PAIRS = 15
NEVER = 10**9

Detach: TypeAlias = "Callable[[], object]"


def nothing(_count: object) -> None:
    """Be a hook."""


class Network(NamedTuple):
    """A training: model, optimizer, and a batch."""

    model: nn.Module
    optimizer: Optimizer
    x: Tensor

    def step(self) -> None:
        """Do one step."""
        self.optimizer.zero_grad()
        self.model(self.x).square().mean().backward()
        self.optimizer.step()


def network(kind: str) -> Network:
    """Return a network of `NETWORKS`, always the same."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    make, width, batch = NETWORKS[kind]
    model = make()
    return Network(model, torch.optim.Adam(model.parameters(), lr=1e-4), torch.randn(batch, width))


def _perceptron(*widths: int) -> Any:
    import models

    return models.perceptron(*widths)


NETWORKS: dict[str, tuple[Callable[[], Any], int, int]] = {
    "400 tiny tensors": (lambda: _perceptron(*[16] * 201), 16, 32),
    "76 tensors, 2.5M": (lambda: _perceptron(*[256] * 39), 256, 64),
    "6 tensors, 5.2M": (lambda: _perceptron(1024, 2048, 1500, 10), 1024, 64),
}
"""By title: the model, its inputs and the batch size."""

OPTIONS: dict[str, dict[str, Any]] = {
    "params": {"log": ("params",)},
    "grads": {"log": ("grads",)},
    "params + grads": {"log": ("params", "grads")},
    "updates": {"log": ("updates",)},
    "optimizer_state": {"log": ("optimizer_state",)},
    "params + activations": {"log": ("params",), "activations": ["*"]},
    "norms only": {"log": ("params", "grads"), "histograms": False},
    "everything": {"log": ("params", "grads", "updates", "optimizer_state", "buffers"), "activations": ["*"]},
}
"""Arguments of `mbt.watch` by title."""


def watched(trained: Network, directory: str, every: int, title: str) -> Detach:
    """Watch with `mbt.watch`."""
    import multiboard as mb
    import multiboard.torch as mbt

    if directory not in _runs:
        _runs[directory] = mb.Run(directory, facts=False)
    run = _runs[directory]
    watch = mbt.watch(trained.model, trained.optimizer, run, every=every, start_step=1 if every == NEVER else 0, **OPTIONS[title])

    def detach() -> None:
        watch.remove()
        run.flush()

    return detach


_runs: dict[str, Any] = {}


def hooked(trained: Network, kind: str) -> Detach:
    """Attach one of the hooks that others use, in all places where they do."""
    layers = [layer for layer in trained.model.modules() if not list(layer.children())]
    parameters = list(trained.model.parameters())
    handles: list[Any] = {
        "hook per gradient": lambda: [p.register_hook(nothing) for p in parameters],
        "hook after accumulation": lambda: [p.register_post_accumulate_grad_hook(nothing) for p in parameters],
        "forward hooks": lambda: [layer.register_forward_hook(lambda *_: None) for layer in layers],
        "full backward hooks": lambda: [layer.register_full_backward_hook(lambda *_: None) for layer in layers],
        "plain": list,
    }[kind]()
    return lambda: [handle.remove() for handle in handles]


HOOKS = ("hook per gradient", "hook after accumulation", "forward hooks", "full backward hooks", "plain")


def attach(contender: str, trained: Network, directory: str, every: int) -> Detach:
    """Attach a contender for a block; the result takes it off again and waits until everything is written."""
    if contender in HOOKS:
        return hooked(trained, contender)
    return watched(trained, directory, every, contender)


def measure(contender: str, directory: str, kind: str, pairs: int) -> None:
    """Measure one contender on one network."""
    _assert_same_bits(contender, f"{directory}/bits", kind)
    trained = network(kind)
    idle = _pairs(contender, trained, f"{directory}/idle", pairs, NEVER)
    figures = {
        "idle_us": _median_of(idle, "main_s", IDLE_STEPS) * 1e6,
        "idle_percent": statistics.median(taken["main_s"] / plain["main_s"] - 1 for plain, taken in idle) * 100,
    }
    if contender not in HOOKS or contender == "plain":
        captured = _pairs(contender, trained, f"{directory}/captured", pairs, 1)
        figures["captured_main_ms"] = _median_of(captured, "main_s", CAPTURED_STEPS) * 1e3
        figures["captured_cpu_ms"] = _median_of(captured, "cpu_s", CAPTURED_STEPS) * 1e3
    step_ms = statistics.median(plain["main_s"] for plain, _ in idle) / IDLE_STEPS * 1e3
    for run in _runs.values():
        run.close()
    report(**figures, step_ms=step_ms)


def _pairs(
    contender: str, trained: Network, directory: str, pairs: int, every: int
) -> list[tuple[dict[str, float], dict[str, float]]]:
    """Return the clocks of blocks without and with, in pairs; the first pair is a warm-up."""
    steps = CAPTURED_STEPS if every == 1 else IDLE_STEPS
    found = []
    for pair in range(1 + pairs):
        one = {}
        for taken in (True, False) if pair % 2 else (False, True):
            detach = attach(contender, trained, directory, every) if taken else list
            one[taken] = _block(trained, steps, detach)
        found.append((one[False], one[True]))
    return found[1:]


def _block(trained: Network, steps: int, detach: Detach) -> dict[str, float]:
    start()
    for _ in range(steps):
        trained.step()
    passed = lap()
    detach()
    return total() | {"main_s": passed["caller_cpu_s"]}


def _median_of(pairs: list[tuple[dict[str, float], dict[str, float]]], clock: str, steps: int) -> float:
    return statistics.median(taken[clock] - plain[clock] for plain, taken in pairs) / steps


def _assert_same_bits(contender: str, directory: str, kind: str) -> None:
    """Train twice, with every other step captured and plain, and compare."""
    plain, taken = network(kind), network(kind)
    detach = attach(contender, taken, directory, 2)
    for _ in range(5):
        plain.step()
        taken.step()
    detach()
    different = [
        name
        for (name, a), (_, b) in zip(plain.model.named_parameters(), taken.model.named_parameters(), strict=True)
        if not bool((a == b).all())
    ]
    if different:
        raise ValueError(f"training with {contender} gives other weights: {different[:3]}")


def contenders(kind: str, pairs: int) -> dict[str, Contender]:
    """Return everything that can be attached, for one network."""
    code = "import torch_capture; torch_capture.measure({name!r}, d, {kind!r}, {pairs})"
    check = "import clocks; clocks.report(verified='the same bits')"
    names = (*OPTIONS, *HOOKS)
    return {name: Contender("torch", code.format(name=name, kind=kind, pairs=pairs), check) for name in names}


def main() -> None:
    """Run the races."""
    arguments = options(__doc__)
    for kind in NETWORKS:
        race(f"capture: {kind}", contenders(kind, max(2, int(PAIRS * arguments.scale))), arguments)


if __name__ == "__main__":
    main()

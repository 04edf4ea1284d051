"""What the PyTorch adapter does on an accelerator: no synchronisation, exact counts, time, traffic and memory.

python benchmarks/gpu_check.py [--device cuda] [--small] [--only counts,...]

Needs CUDA and the packages torch, numpy, protobuf and google-crc32c; `multiboard` is that of the checkout in which this file
lies. Prints one Markdown table. The exit code is 1 if a check failed, and 2 if there is no such device. With `--device cpu` all
that has a meaning there is run, which tests this script and not a device.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import sys
import tempfile
import threading
import traceback
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "adapters")]

import numpy as np  # noqa: E402  # behind the path, as all that follow
import torch  # noqa: E402
from gpu_costs import check_memory, check_time, check_traffic  # noqa: E402
from gpu_loops import EVERYTHING, Row, Setting, Training, guarded, one_line, watching  # noqa: E402
from torch import nn  # noqa: E402

import multiboard as mb  # noqa: E402
import multiboard.torch as mbt  # noqa: E402
from multiboard import buckets  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SYNCHRONISING = "called a synchronizing CUDA operation"
OURS = (HERE.parent / "multiboard", HERE.parent / "adapters")

LOOPS: dict[str, dict[str, Any]] = {
    "float32": {},
    "float32, fused": {"fused": True},
    "float32, clipped": {"clip": torch.nn.utils.clip_grad_norm_},
    "bfloat16 parameters": {"dtype": torch.bfloat16},
    "bfloat16 autocast, fused": {"autocast": torch.bfloat16, "fused": True},
    "float16, GradScaler": {"autocast": torch.float16, "scaled": True},
    "float16, GradScaler, fused": {"autocast": torch.float16, "scaled": True, "fused": True},
    "torch.compile": {"compiled": True},
}
SYNC_STEPS = 7


def check_syncs(setting: Setting) -> Iterator[Row]:
    """Compare the synchronisations of the training thread with those of the plain loop, in all kinds of loops."""
    if setting.device.type != "cuda":
        yield Row("synchronisations", "left out: only CUDA tells them")
        return
    small = Setting(setting.device, small=True)
    for name, options in LOOPS.items():
        title = f"synchronisations of {SYNC_STEPS} steps, {name}"
        try:
            plain = _syncs(Training(small, **options), None)
        except Exception as error:  # noqa: BLE001  # no compiler, an old GPU: not our loop
            yield Row(title, f"left out: the plain loop failed ({one_line(error)})")
            continue
        ours = {**options, "clip": mbt.clip_grad_norm_} if "clip" in options else options
        yield from guarded(title, partial(_compare_syncs, small, ours, plain, title))


def _compare_syncs(setting: Setting, options: dict[str, Any], plain: list[str], title: str) -> Iterator[Row]:
    training = Training(setting, **options)
    with watching(training, 2, EVERYTHING) as (run, directory, errors):
        found = _syncs(training, run)
        run.close()
        missing = _missing_groups(directory)
    problems = [*(place for place in found if place), *errors, *missing]
    good = not problems and len(found) <= len(plain)
    yield Row(title, f"{len(found)}, in the plain loop {len(plain)}" + "".join(f"; {text}" for text in problems[:3]), good)
    if not plain:
        training = Training(setting, **options)
        with watching(training, 2, EVERYTHING) as (run, _, errors), _debugging("error"):
            _train(training, run)
        yield Row(f"{title}, as errors", "; ".join(errors[:3]) or "none", not errors)


def _syncs(training: Training, run: mb.Run | None) -> list[str]:
    """Train; return the line of ours for each synchronisation of the training thread, empty if none of ours is to blame."""
    places: list[str] = []

    def note(message: Any, *_: object, **__: object) -> None:
        if SYNCHRONISING in str(message) and threading.current_thread() is threading.main_thread():
            frames = [f for f in traceback.extract_stack() if any(Path(f.filename).is_relative_to(folder) for folder in OURS)]
            places.append(f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "")

    with warnings.catch_warnings(), _debugging("warn"):
        warnings.simplefilter("always")
        warnings.showwarning = note
        _train(training, run)
    return places


@contextlib.contextmanager
def _debugging(mode: str) -> Iterator[None]:
    torch.cuda.set_sync_debug_mode(mode)
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def _train(training: Training, run: mb.Run | None) -> None:
    for step in range(SYNC_STEPS):
        loss = training.backward()
        if run is not None:
            run.log({"train/loss": loss, "train/loss_squared": loss.square()}, step)
        training.update()


def _missing_groups(directory: Path) -> list[str]:
    histograms = mb.read(directory)["."].histograms
    steps = {tag.split("/")[0]: column.step.tolist() for tag, column in histograms.items()}
    wanted = {"params", "grads", "updates", "optimizer_state", "activations"}
    return [f"no {group}" for group in sorted(wanted - steps.keys())]


DTYPES = (torch.float32, torch.bfloat16, torch.float16)
SPECIAL = [
    np.nan,
    np.inf,
    -np.inf,
    0.0,
    -0.0,
    1e-45,
    -1e-40,
    1.2e-38,
    6e-8,
    3e-5,
    65504.0,
    1e30,
    -3.4e38,
    1.0,
    1.125,
    -0.875,
    2.0**24,
]


def check_counts(setting: Setting) -> Iterator[Row]:
    """Compare the histograms of tensors on the device with what the core counts on the host."""
    for dtype in DTYPES:
        tensors = [tensor.to(dtype) for tensor in _cases(setting)]
        values = sum(tensor.numel() for tensor in tensors)
        title = (
            f"counts equal to those of the host, {str(dtype).removeprefix('torch.')}: {len(tensors)} tensors, {values:,} values"
        )
        yield from guarded(title, partial(_compare_counts, setting, tensors, title))


def _cases(setting: Setting) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    large, many = (200_000, 100) if setting.small else (20_000_000, 1000)
    normal = [10.0**power * torch.randn(1000, generator=generator) for power in range(-44, 38, 3)]
    small = [torch.randn(1 + row % 997, generator=generator) for row in range(many)]
    spoiled = torch.randn(large // 2, generator=generator)
    spoiled[::1000], spoiled[1::5000] = np.nan, -np.inf
    return [
        torch.tensor(SPECIAL).repeat(77),
        torch.zeros(5000),
        torch.full((3,), np.nan),
        torch.zeros(0),
        *normal,
        *small,
        torch.randn(large, generator=generator),
        torch.ones(large),  # in float32 a count beyond 2**24 would stop there
        spoiled,
    ]


def _compare_counts(setting: Setting, tensors: list[torch.Tensor], title: str) -> Iterator[Row]:
    model = nn.ParameterList(nn.Parameter(tensor.to(setting.device)) for tensor in tensors)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)  # no gradients: a step is only its hooks
    with tempfile.TemporaryDirectory() as directory:
        with mb.Run(directory, facts=False) as run, mbt.watch(model, optimizer, run, log=("params",)):
            optimizer.step()
        written = mb.read(directory)["."]
    wrong = []
    for (tag, column), tensor in zip(written.histograms.items(), tensors, strict=True):
        expected = buckets.measure(tensor.float().numpy())
        nonfinite = written.scalars.get(f"nonfinite/{tag}")
        same = np.array_equal(np.float32(column.value[0]), np.float32(expected.rows()))
        same &= expected.nonfinite == (0 if nonfinite is None else nonfinite.value[0])
        norm = written.scalars[f"norm/{tag}"].value[0]
        if not same or not np.allclose(norm, expected.norm, rtol=1e-3, atol=1e-30, equal_nan=True):
            wrong.append(tag)
    yield Row(title, f"{len(wrong)} differ {wrong[:3]}" if wrong else "all", not wrong)


SECTIONS: dict[str, Callable[[Setting], Iterator[Row]]] = {
    "syncs": check_syncs,
    "counts": check_counts,
    "time": check_time,
    "traffic": check_traffic,
    "memory": check_memory,
}


def main() -> int:
    """Run the sections, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, ..., or cpu to test this script")
    parser.add_argument("--small", action="store_true", help="small models and tensors: seconds, also on a CPU")
    parser.add_argument("--only", type=lambda names: names.split(","), default=list(SECTIONS), help=", ".join(SECTIONS))
    arguments = parser.parse_args()
    setting = Setting(torch.device(arguments.device), arguments.small)
    if setting.device.type == "cuda" and not torch.cuda.is_available():
        print("There is no CUDA device here: run this on a machine with one, or with --device cpu --small to test the script.")
        return 2
    if setting.device.type == "cpu":
        torch.set_num_threads(1)
    name = torch.cuda.get_device_name(setting.device) if setting.device.type == "cuda" else setting.device.type
    print(f"\n{name}, torch {torch.__version__}, multiboard {mb.__version__}\n\n| check | result | |\n|---|---|---|")
    verdicts = {True: "ok", False: "**failed**", None: ""}
    rows = []
    for row in itertools.chain.from_iterable(guarded(s, partial(SECTIONS[s], setting)) for s in arguments.only):
        rows.append(row)
        print(f"| {row.check} | {row.result} | {verdicts[row.good]} |", flush=True)
    return int(any(row.good is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())

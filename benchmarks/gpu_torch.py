"""What the PyTorch adapter does on an accelerator: no synchronisation, and exact counts."""

from __future__ import annotations

import contextlib
import tempfile
import threading
import traceback
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from gpu_loops import EVERYTHING, Setting, Training, watching
from gpu_rows import Row, cases, difference, guarded, one_line
from torch import nn

import multiboard as mb
import multiboard.torch as mbt

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
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


def check_counts(setting: Setting) -> Iterator[Row]:
    """Compare the histograms of tensors on the device with what the core counts on the host."""
    for dtype in DTYPES:
        arrays = cases(setting.small, 100 if setting.small else 1000)
        tensors = [torch.from_numpy(array).to(dtype) for array in arrays]
        name, values = str(dtype).removeprefix("torch."), sum(tensor.numel() for tensor in tensors)
        title = f"counts equal to those of the host, {name}: {len(tensors)} tensors, {values:,} values"
        yield from guarded(title, partial(_compare_counts, setting, tensors, title))


def _compare_counts(setting: Setting, tensors: list[torch.Tensor], title: str) -> Iterator[Row]:
    model = nn.ParameterList(nn.Parameter(tensor.to(setting.device)) for tensor in tensors)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)  # no gradients: a step is only its hooks
    with tempfile.TemporaryDirectory() as directory:
        with mb.Run(directory, facts=False) as run, mbt.watch(model, optimizer, run, log=("params",)):
            optimizer.step()
        written = mb.read(directory)["."]
    pairs = zip(written.histograms, tensors, strict=True)
    wrong = [tag for tag, tensor in pairs if difference(written, tag, tensor.float().numpy())]
    yield Row(title, f"{len(wrong)} differ {wrong[:3]}" if wrong else "all", not wrong)

"""The training loop in PyTorch of the checks on an accelerator."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import models
import torch
from torch.nn import functional

import multiboard as mb
import multiboard.torch as mbt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import nn

EVERYTHING: dict[str, Any] = {"log": ("params", "grads", "updates", "optimizer_state", "buffers"), "activations": ["*"]}
USUAL: dict[str, Any] = {"log": ("params", "grads")}
"""Arguments of `mbt.watch`."""


class Setting(NamedTuple):
    """Where and how large."""

    device: torch.device
    small: bool

    @property
    def name(self) -> str:
        """The device and the framework."""
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else self.device.type
        return f"{name} with torch {torch.__version__}"

    def gpt2(self) -> nn.Module:
        """Return a GPT-2 on the device, or a very small one."""
        torch.manual_seed(0)
        with self.device:
            return models.GPT2(2, 128, 500, 32) if self.small else models.GPT2()


def open_setting(device: str, small: bool) -> Setting | None:
    """Return where to check, or None if there is no such device."""
    setting = Setting(torch.device(device), small)
    if setting.device.type == "cuda" and not torch.cuda.is_available():
        return None
    if setting.device.type == "cpu":
        torch.set_num_threads(1)
    return setting


class Training:
    """A training loop of GPT-2 on random words.

    Args:
        setting: where.
        batch: rows of words.
        dtype: of the parameters.
        autocast: dtype of `torch.autocast`, None for none.
        fused: whether the optimizer is one kernel.
        scaled: whether there is a GradScaler.
        compiled: whether the model is compiled.
        clip: clips gradients to a norm: `torch.nn.utils.clip_grad_norm_` or ours.
    """

    def __init__(
        self,
        setting: Setting,
        batch: int = 2,
        *,
        dtype: torch.dtype = torch.float32,
        autocast: torch.dtype | None = None,
        fused: bool = False,
        scaled: bool = False,
        compiled: bool = False,
        clip: Callable[..., Any] | None = None,
    ) -> None:
        self.model = setting.gpt2().to(dtype)
        torch.compiler.reset()  # graphs of a model without hooks would be used for this one, which may get some
        self.call = torch.compile(self.model) if compiled else self.model
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4, fused=fused or None)
        self.scaler = torch.amp.GradScaler(setting.device.type) if scaled else None
        self._autocast, self._clip, self._kind = autocast, clip, setting.device.type
        words, positions = self.model.wte.num_embeddings, self.model.wpe.num_embeddings
        self.words = torch.randint(0, words, (batch, positions), device=setting.device)

    def backward(self) -> torch.Tensor:
        """Do one step up to the update; return the loss."""
        with torch.autocast(self._kind, self._autocast, enabled=self._autocast is not None):
            logits = self.call(self.words)
            loss = functional.cross_entropy(logits.flatten(0, 1), self.words.flatten())
        self.optimizer.zero_grad()
        (self.scaler.scale(loss) if self.scaler else loss).backward()
        if self._clip:
            self._clip(self.model.parameters(), 1.0)
        return loss.detach()

    def update(self) -> None:
        """Update the parameters."""
        if self.scaler:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            self.optimizer.step()


@contextlib.contextmanager
def watching(training: Training, every: int, options: dict[str, Any]) -> Iterator[tuple[mb.Run, Path, list[str]]]:
    """Watch a training; yields the run, its directory, and the errors that the run reports."""
    errors: list[str] = []
    with (
        tempfile.TemporaryDirectory() as directory,
        mb.Run(directory, facts=False, on_error=lambda cause, message: errors.append(f"{cause}: {message}")) as run,
        mbt.watch(training.model, training.optimizer, run, every=every, **options),
    ):
        yield run, Path(directory), errors


def wait(setting: Setting) -> None:
    """Wait for the device."""
    if setting.device.type == "cuda":
        torch.cuda.synchronize(setting.device)

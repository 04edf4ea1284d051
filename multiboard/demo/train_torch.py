"""The digits classifier in PyTorch: `python -m multiboard.demo.train_torch --log-dir DIR --steps 220 --every 10`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F  # noqa: N812  # the spelling of every PyTorch program
from torch import nn

import multiboard as mb
import multiboard.torch as mbt
from multiboard.demo.digits import (
    LOGGED,
    NOTES,
    WATCHED,
    Digits,
    contact_sheet,
    dropout_mask,
    initial_weights,
    say_progress,
    settings_from_arguments,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from multiboard.demo.choices import Choices
    from multiboard.demo.digits import Settings


class Dropout(nn.Module):
    """Drops the same units in every framework."""

    def __init__(self, *, always: bool) -> None:
        super().__init__()
        self.always = always

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return `[N, 64]` with units set to 0 in training."""
        return x * torch.from_numpy(dropout_mask())[: len(x)] if self.training or self.always else x


class Classifier(nn.Module):
    """Two convolutions with norms and three dense layers."""

    def __init__(self, choices: Choices) -> None:
        super().__init__()
        gelu = "tanh" if choices.tanh_gelu else "none"
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(16, momentum=1 - choices.statistics_kept)
        self.gelu1 = nn.GELU(gelu)
        self.conv2 = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.norm2 = nn.LayerNorm(32, choices.norm_epsilon)
        self.gelu2 = nn.GELU(gelu)
        self.dense1 = nn.Linear(512, 64)
        self.gelu3 = nn.GELU(gelu)
        self.dropout = Dropout(always=choices.dropout_in_evaluation)
        self.dense2 = nn.Linear(64, 64)
        self.gelu4 = nn.GELU(gelu)
        self.dense3 = nn.Linear(64, 10, bias=choices.output_bias)
        self.channels_first = choices.channels_first

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits `[N, 10]` of images `[N, 1, 8, 8]`."""
        x = self.gelu1(self.norm1(self.conv1(x)))
        x = self.gelu2(self.norm2(self.conv2(x).permute(0, 2, 3, 1)))
        x = (x.permute(0, 3, 1, 2) if self.channels_first else x).flatten(1)  # the other frameworks flatten channels last
        x = self.dropout(self.gelu3(self.dense1(x)))
        return self.dense3(self.gelu4(self.dense2(x)))  # type: ignore[no-any-return]


def load(model: nn.Module, weights: dict[str, npt.NDArray[np.float32]]) -> None:
    """Port canonical weights: HWIO to OIHW, `[in, out]` to `[out, in]`."""
    axes = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}
    names = {"kernel": "weight", "scale": "weight", "bias": "bias"}
    state = {}
    for name, array in weights.items():
        layer, role = name.split("/")
        state[f"{layer}.{names[role]}"] = torch.from_numpy(array.transpose(axes[array.ndim]).copy())
    model.load_state_dict(state, strict=False)  # running statistics stay as they are


def optimizer_of(model: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    """Return AdamW, whose decay leaves out norms and biases."""
    choices = settings.choices
    decays = [choices.decay_norms or value.ndim > 1 for value in model.parameters()]
    groups: list[dict[str, Any]] = [
        {"params": [value for value, does in zip(model.parameters(), decays, strict=True) if does]},
        {"params": [value for value, does in zip(model.parameters(), decays, strict=True) if not does], "weight_decay": 0.0},
    ]
    cls = torch.optim.AdamW if choices.decoupled else torch.optim.Adam
    return cls(groups, settings.learning_rate, eps=choices.optimizer_epsilon, weight_decay=settings.weight_decay)


def tensors(images: npt.NDArray[np.float32], labels: npt.NDArray[np.int32]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images as `[N, 1, 8, 8]` and labels as int64."""
    return torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(labels).long()


def main(settings: Settings) -> None:
    """Train and log."""
    torch.manual_seed(settings.seed)
    digits = Digits(settings)
    model = Classifier(settings.choices)
    load(model, initial_weights(settings))
    optimizer = optimizer_of(model, settings)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: settings.rate(step) / settings.learning_rate)
    val_x, val_y = tensors(*digits.val)
    with mb.Run(settings.log_dir, config=settings.config("torch")) as run:
        watching = mbt.watch(model, optimizer, run, every=settings.every, log=LOGGED, activations=WATCHED)
        mbt.graph(model, run)  # of the first call
        run.text("run/notes", NOTES, step=0)
        for step, epoch, batch in mbt.loop(digits.steps(), run, watching=watching, examples=settings.batch_size):
            x, y = tensors(*batch)
            logits = model(x)
            loss = F.cross_entropy(logits, y, reduction=settings.choices.reduction)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            run.log({"train/loss": loss, "train/accuracy": (logits.argmax(1) == y).float().mean()}, step)
            if settings.ends_epoch(step):
                model.eval()
                with torch.no_grad():
                    logits = model(val_x)
                model.train()
                loss = F.cross_entropy(logits, val_y, reduction=settings.choices.reduction)
                accuracy = (logits.argmax(1) == val_y).float().mean()
                run.log({"val/loss": loss, "val/accuracy": accuracy, "train/epoch": epoch}, step)
            say_progress(step + 1)
        run.image("val/examples", contact_sheet(*digits.val, logits.argmax(1).numpy()), step)


if __name__ == "__main__":
    main(settings_from_arguments("torch"))

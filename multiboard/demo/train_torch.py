"""The digits classifier in PyTorch: `python -m multiboard.demo.train_torch --log-dir DIR --steps 220 --every 10`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812  # the spelling of every PyTorch program
from torch import nn

import multiboard as mb
import multiboard.torch as mbt
from multiboard.demo.digits import NOTES, Digits, contact_sheet, initial_weights, say_progress, settings_from_arguments

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from multiboard.demo.digits import Settings


class Classifier(nn.Module):
    """Two convolutions, a layer norm and two dense layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.norm = nn.LayerNorm(32)
        self.dense1 = nn.Linear(512, 64)
        self.dense2 = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits `[N, 10]` of images `[N, 1, 8, 8]`."""
        x = F.relu(self.conv1(x))
        x = F.avg_pool2d(F.relu(self.conv2(x)), 2)
        x = self.norm(x.permute(0, 2, 3, 1)).flatten(1)  # channels last, as the other frameworks flatten
        return self.dense2(F.relu(self.dense1(x)))  # type: ignore[no-any-return]


def load(model: nn.Module, weights: dict[str, npt.NDArray[np.float32]]) -> None:
    """Port canonical weights: HWIO to OIHW, `[in, out]` to `[out, in]`."""
    axes = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}
    names = {"kernel": "weight", "scale": "weight", "bias": "bias"}
    state = {}
    for name, array in weights.items():
        layer, role = name.split("/")
        state[f"{layer}.{names[role]}"] = torch.from_numpy(array.transpose(axes[array.ndim]).copy())
    model.load_state_dict(state)


def tensors(images: npt.NDArray[np.float32], labels: npt.NDArray[np.int32]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images as `[N, 1, 8, 8]` and labels as int64."""
    return torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(labels).long()


def main(settings: Settings) -> None:
    """Train and log."""
    torch.manual_seed(settings.seed)
    digits = Digits(settings)
    model = Classifier()
    load(model, initial_weights(settings.seed))
    optimizer = torch.optim.SGD(model.parameters(), settings.learning_rate, momentum=settings.momentum)
    val_x, val_y = tensors(*digits.val)
    with mb.Run(settings.log_dir, config=settings.config("torch")) as run:
        watching = mbt.watch(model, optimizer, run, every=settings.every)
        mbt.graph(model, run)  # of the first call
        run.text("run/notes", NOTES, step=0)
        for step, epoch, batch in mbt.loop(digits.steps(), run, watching=watching, examples=settings.batch_size):
            x, y = tensors(*batch)
            logits = model(x)
            loss = F.cross_entropy(logits, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            run.log({"train/loss": loss, "train/accuracy": (logits.argmax(1) == y).float().mean()}, step)
            if settings.ends_epoch(step):
                with torch.no_grad():
                    logits = model(val_x)
                accuracy = (logits.argmax(1) == val_y).float().mean()
                run.log({"val/loss": F.cross_entropy(logits, val_y), "val/accuracy": accuracy, "train/epoch": epoch}, step)
            say_progress(step + 1)
        run.image("val/examples", contact_sheet(*digits.val, logits.argmax(1).numpy()), step)


if __name__ == "__main__":
    main(settings_from_arguments())

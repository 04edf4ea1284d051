"""Lightning adapter of multiboard: a logger and a callback for its Trainer, under the names lightning and pytorch_lightning.

    import multiboard.lightning as mbl
    trainer = Trainer(logger=mbl.Logger("runs/first"), callbacks=[mbl.Watch(every=100)])
    fabric = Fabric(loggers=mbl.Logger("runs/first"))

- `logger`: what Lightning logs, in the run.
- `callback`: attaches `multiboard.torch.watch` to the optimizers.
- `experiment`: the SummaryWriter that code written for TensorBoardLogger reaches for.
- `metrics`, `steps`: which part of a fit what Lightning logs belongs to, and which step it means.
"""

from multiboard_lightning.callback import Watch
from multiboard_lightning.logger import Logger

__all__ = ["Logger", "Watch"]

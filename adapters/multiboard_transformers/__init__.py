"""Transformers adapter of multiboard: a callback for the Hugging Face Trainer.

    import multiboard.transformers as mbh
    trainer = Trainer(..., callbacks=[mbh.Callback("runs/first", every=100)])

- `callback`: the life of the run, and what is logged when.
- `metrics`: the uniform tags of what the Trainer logs.
- `config`: its hyper-parameters.
"""

from multiboard_transformers.callback import Callback
from multiboard_transformers.config import hyper_parameters

__all__ = ["Callback", "hyper_parameters"]

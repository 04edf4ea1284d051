"""The Keras 3 adapter of multiboard, for the JAX, PyTorch and TensorFlow backends.

    import multiboard.keras as mbk
    model.fit(x, y, callbacks=[mbk.TensorBoard("runs/first", every=100)])

The backend is the one that Keras has chosen; no other one is imported.
"""

from multiboard_keras.capture import TensorBoard
from multiboard_keras.graph import graph
from multiboard_keras.hparams import HParams
from multiboard_keras.samples import Samples

__all__ = ["HParams", "Samples", "TensorBoard", "graph"]

"""Only the backend's own framework is imported."""

import subprocess
import sys

import keras

import multiboard as mb

BLOCKED = {"jax": ["tensorflow", "torch"], "torch": ["tensorflow", "jax"], "tensorflow": ["torch", "jax"]}

TRAIN = """
import importlib.abc, importlib.machinery, sys
class Block(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        return importlib.machinery.ModuleSpec(name, self) if name.split(".")[0] in sys.argv[2:] else None
    def create_module(self, spec):
        raise ModuleNotFoundError(f"No module named {spec.name!r}", name=spec.name)
    def exec_module(self, module): ...
sys.meta_path.insert(0, Block())
import numpy as np, keras, multiboard.keras as mbk
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="fc")])
model.compile("sgd", loss="mse")
callback = mbk.TensorBoard(sys.argv[1], every=1, update_freq="batch")
model.fit(np.ones((8, 4)), np.ones((8, 3)), batch_size=4, verbose=0, callbacks=[callback])
assert not set(sys.argv[2:]) & set(sys.modules)
"""


def test_the_callback_trains_and_logs_where_the_other_frameworks_are_missing(tmp_path):
    blocked = BLOCKED[keras.backend.backend()]
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, tmp_path, *blocked], check=False, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    data = mb.read(tmp_path)["."]
    assert data.scalars["train/loss"].step.tolist() == [0, 1]
    assert data.histograms["grads/fc/kernel"].step.tolist() == [0, 1]

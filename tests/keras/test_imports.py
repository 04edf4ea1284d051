"""Only the backend's own framework is imported, whatever the callback is asked for, and TensorBoard never."""

import subprocess
import sys

import keras

import multiboard as mb

BLOCKED = {
    "jax": ["tensorflow", "tensorboard", "torch"],
    "torch": ["tensorflow", "tensorboard", "jax"],
    "tensorflow": ["torch", "jax"],
}

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
layers = keras.layers
model = keras.Sequential([keras.Input((4,)), layers.Embedding(5, 3, name="words"), layers.Flatten(), layers.Dense(3, name="fc")])
model.compile("adam", loss="mse")
x, y = np.ones((8, 4), "int32"), np.ones((8, 3))
callback = mbk.HParams(
    sys.argv[1], {"lr": 1e-3}, trial="one", histogram_freq=1, write_graph=True, write_images=True, write_steps_per_second=True,
    update_freq="batch", profile_batch=2, embeddings_freq=1, embeddings_metadata={"words": list("abcde")}, every=1,
    log=("params", "grads", "updates", "optimizer_state", "buffers"), activations=["*"], naming="multiboard",
    samples=mbk.Samples(x[:2], y[:2]),
)
model.fit(x, y, batch_size=4, epochs=2, verbose=0, validation_data=(x, y), callbacks=[callback])
assert not set(sys.argv[2:]) & set(sys.modules)
"""


def test_the_callback_with_all_its_arguments_trains_and_logs_where_the_other_frameworks_are_missing(tmp_path):
    blocked = BLOCKED[keras.backend.backend()]
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning:multiboard", "-c", TRAIN, tmp_path, *blocked],
        check=False, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "MultiboardWarning" not in done.stderr
    data = mb.read(tmp_path)["one"]
    assert data.scalars["train/loss"].step.tolist() == [0, 1, 2, 3]
    assert data.scalars["val/loss"].step.tolist() == [1, 3]
    groups = {tag.partition("/")[0] for tag in data.histograms}
    assert groups == {"params", "grads", "updates", "optimizer_state", "activations"}  # this model has no buffers
    assert data.histograms["grads/fc/kernel"].step.tolist() == [0, 1, 2, 3]
    assert data.hparams == {"lr": 1e-3}
    assert any(tag.startswith("samples/") for tag in (*data.texts, *data.images))
    assert "params/fc/kernel/image" in data.images
    assert list((tmp_path / "one" / "plugins" / "profile").iterdir())
    assert (tmp_path / "one" / "projector_config.pbtxt").exists()

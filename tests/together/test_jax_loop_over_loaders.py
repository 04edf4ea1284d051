"""The loop of the JAX adapter takes the loaders of others, and counts their examples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import multiboard as mb
import multiboard.jax as mbj

BATCHES = np.arange(40, dtype=np.float32).reshape(5, 4, 2)


def torch_loader():
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    return DataLoader(TensorDataset(torch.from_numpy(BATCHES.reshape(20, 2))), 4)


def tensorflow_iterator():
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices({"x": BATCHES.reshape(20, 2)}).batch(4).as_numpy_iterator()


def tensorflow_dataset():
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(BATCHES.reshape(20, 2)).batch(4)


LOADERS = {
    "PyTorch": (torch_loader, lambda batch: batch[0].numpy()),
    "NumPy of tf.data": (tensorflow_iterator, lambda batch: batch["x"]),
    "tf.data": (tensorflow_dataset, lambda batch: batch.numpy()),
    "JAX": (lambda: [jnp.asarray(batch) for batch in BATCHES], lambda batch: batch),
}


@pytest.mark.parametrize("name", LOADERS)
def test_batches_of_other_loaders_are_handed_out_and_counted(name, tmp_path):
    make, to_array = LOADERS[name]
    with mb.Run(tmp_path) as run:
        step = mbj.wrap_train_step(jax.jit(lambda total, x: (total + x.sum(), {"loss": x.sum()})), run, every=100, log=())
        total, seen = jnp.float32(0), []
        for batch in mbj.loop(make(), run, every=1, watching=step):
            total, metrics = step(total, to_array(batch))
            seen.append(float(metrics["loss"]))
    scalars = mb.read(tmp_path)["."].scalars
    assert seen == BATCHES.sum(axis=(1, 2)).tolist()
    assert scalars["perf/step_ms"].step[-1] == 4
    np.testing.assert_allclose(scalars["perf/examples_per_s"].value * scalars["perf/step_ms"].value, 4000, rtol=1e-5)

"""A training loop in plain JAX and Optax on handwritten digits, logged by multiboard: `python examples/jax_optax_loop.py`."""

import argparse
from functools import partial

import jax
import numpy as np
import optax
from jax import nn
from sklearn.datasets import load_digits

import multiboard as mb
import multiboard.jax as mbj


def init_params(key):
    shapes = {"conv1": (3, 3, 1, 16), "dense1": (16 * 4 * 4, 64), "dense2": (64, 10)}
    keys = dict(zip(shapes, jax.random.split(key, len(shapes)), strict=True))
    params = {
        name: {"kernel": nn.initializers.lecun_normal()(keys[name], shape), "bias": np.zeros(shape[-1], np.float32)}
        for name, shape in shapes.items()
    }
    return params | {"norm": {"scale": np.ones(16, np.float32), "bias": np.zeros(16, np.float32)}}


def logits_of(params, images):  # [N, 8, 8, 1] -> [N, 10]
    conv1, norm, dense1, dense2 = (params[name] for name in ("conv1", "norm", "dense1", "dense2"))
    x = jax.lax.conv_general_dilated(images, conv1["kernel"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    groups = (x + conv1["bias"]).reshape(*x.shape[:3], 4, 4)
    x = nn.standardize(groups, axis=(1, 2, 4)).reshape(x.shape) * norm["scale"] + norm["bias"]
    x = nn.relu(x).reshape(-1, 4, 2, 4, 2, 16).max((2, 4)).reshape(len(images), -1)
    x = mbj.tag("dense1", x @ dense1["kernel"] + dense1["bias"])  # the histogram activations/dense1
    return nn.relu(x) @ dense2["kernel"] + dense2["bias"]


class Batches:
    """A set in batches, in another order each time."""

    def __init__(self, images, labels, size, rng):
        self.images, self.labels, self.size, self.rng = images, labels, size, rng

    def __iter__(self):
        order = self.rng.permutation(len(self.labels))
        for first in range(0, len(order) - self.size + 1, self.size):
            rows = order[first : first + self.size]
            yield self.images[rows], self.labels[rows]


def loss_and_accuracy(params, images, labels):
    logits = logits_of(params, images)
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
    return loss, (logits.argmax(1) == labels).mean()


def train_step(tx, params, opt_state, images, labels):
    (loss, accuracy), grads = jax.value_and_grad(loss_and_accuracy, has_aux=True)(params, images, labels)
    updates, opt_state = tx.update(grads, opt_state, params)
    return optax.apply_updates(params, updates), opt_state, {"loss": loss, "accuracy": accuracy}


def main(log_dir, epochs, batch_size=64):
    rng = np.random.default_rng(0)
    digits = load_digits()
    images = (digits.images[..., None] / 16).astype(np.float32)  # pixels are 0 to 16
    labels = digits.target.astype(np.int32)
    train_rows, val_rows = np.split(rng.permutation(len(images)), [1437])
    batches, val_set = Batches(images[train_rows], labels[train_rows], batch_size, rng), (images[val_rows], labels[val_rows])
    params = init_params(jax.random.key(0))
    tx = mbj.tap(optax.chain(optax.clip_by_global_norm(1.0), optax.adam(3e-3)))  # sees the gradients before they are clipped
    opt_state = tx.init(params)
    evaluate = jax.jit(loss_and_accuracy)

    with mb.Run(log_dir, config={"epochs": epochs, "batch_size": batch_size}) as run:
        step_fn = mbj.wrap_train_step(partial(train_step, tx), run, every=10, learning_rate=3e-3, donate_argnums=(0, 1))
        loop = mbj.loop(batches, run, watching=step_fn)
        run.text("run/notes", "Digits of **8 x 8** pixels, one convolution, two dense layers.", step=0)
        for _ in range(epochs):
            for batch in loop:
                params, opt_state, _ = step_fn(params, opt_state, *batch)  # logs the metrics, too
            loss, accuracy = evaluate(params, *val_set)
            run.log({"val/loss": loss, "val/accuracy": accuracy}, loop.step)
        run.image("val/examples", val_set[0][:16], loop.step)
    print(f"validation accuracy {accuracy:.3f}\ntensorboard --logdir {log_dir}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log-dir", default="runs/jax-optax")
    parser.add_argument("--epochs", type=int, default=5)
    arguments = parser.parse_args()
    main(arguments.log_dir, arguments.epochs)

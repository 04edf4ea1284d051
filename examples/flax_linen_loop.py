"""A Flax Linen training loop on handwritten digits, logged by multiboard: `python examples/flax_linen_loop.py --epochs 5`."""

import argparse

import jax
import numpy as np
import optax
from flax import linen as nn
from flax.training.train_state import TrainState
from sklearn.datasets import load_digits

import multiboard as mb
import multiboard.jax as mbj


class Classifier(nn.Module):
    @nn.compact
    def __call__(self, images):  # [N, 8, 8, 1] -> [N, 10]
        x = nn.relu(nn.GroupNorm(num_groups=4, name="norm")(nn.Conv(16, (3, 3), name="conv1")(images)))
        x = nn.max_pool(x, (2, 2), strides=(2, 2)).reshape(len(x), -1)
        return nn.Dense(10, name="dense2")(nn.relu(nn.Dense(64, name="dense1")(x)))


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
    logits = Classifier().apply({"params": params}, images)
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
    return loss, (logits.argmax(1) == labels).mean()


def train_step(state, images, labels):
    (loss, accuracy), grads = jax.value_and_grad(loss_and_accuracy, has_aux=True)(state.params, images, labels)
    return state.apply_gradients(grads=grads), {"loss": loss, "accuracy": accuracy}


def main(log_dir, epochs, batch_size=64):
    rng = np.random.default_rng(0)
    digits = load_digits()
    images = (digits.images[..., None] / 16).astype(np.float32)  # pixels are 0 to 16
    labels = digits.target.astype(np.int32)
    train_rows, val_rows = np.split(rng.permutation(len(images)), [1437])
    batches, val_set = Batches(images[train_rows], labels[train_rows], batch_size, rng), (images[val_rows], labels[val_rows])
    params = Classifier().init(jax.random.key(0), images[:1])["params"]
    tx = optax.inject_hyperparams(optax.adam)(learning_rate=3e-3)  # the rate in here is logged
    state = TrainState.create(apply_fn=None, params=params, tx=tx)
    evaluate = jax.jit(loss_and_accuracy)

    with mb.Run(log_dir, config={"epochs": epochs, "batch_size": batch_size}) as run:
        step_fn = mbj.wrap_train_step(train_step, run, every=10, activations=["dense1"], donate_argnums=0)
        loop = mbj.loop(batches, run, watching=step_fn)
        run.text("run/notes", "Digits of **8 x 8** pixels, one convolution, two dense layers.", step=0)
        for _ in range(epochs):
            for batch in loop:
                state, _ = step_fn(state, *batch)  # logs the metrics, too
            loss, accuracy = evaluate(state.params, *val_set)
            run.log({"val/loss": loss, "val/accuracy": accuracy}, loop.step)
        run.image("val/examples", val_set[0][:16], loop.step)
    print(f"validation accuracy {accuracy:.3f}\ntensorboard --logdir {log_dir}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log-dir", default="runs/flax-linen")
    parser.add_argument("--epochs", type=int, default=5)
    arguments = parser.parse_args()
    main(arguments.log_dir, arguments.epochs)

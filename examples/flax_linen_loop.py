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
        x = mbj.tag("dense1", nn.relu(nn.Dense(64, name="dense1")(x)))  # the histogram activations/dense1
        return nn.Dense(10, name="dense2")(x)


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
    params = Classifier().init(jax.random.key(0), images[:1])["params"]
    tx = mbj.tap(optax.inject_hyperparams(optax.adam)(learning_rate=3e-3))  # the tap finds the learning rate in here
    state = TrainState.create(apply_fn=None, params=params, tx=tx)
    evaluate = jax.jit(loss_and_accuracy)

    with mb.Run(log_dir, config={"epochs": epochs, "batch_size": batch_size}) as run:
        step_fn = mbj.wrap_train_step(train_step, run, every=10, donate_argnums=0)  # logs the metrics, too
        run.text("run/notes", "Digits of **8 x 8** pixels, one convolution, two dense layers.", step=0)
        for _ in range(epochs):
            order = rng.permutation(train_rows)
            for rows in np.split(order[: len(order) // batch_size * batch_size], len(order) // batch_size):
                state, _ = step_fn(state, images[rows], labels[rows])
            loss, accuracy = evaluate(state.params, images[val_rows], labels[val_rows])
            run.log({"val/loss": loss, "val/accuracy": accuracy}, step_fn.step - 1)
        run.image("val/examples", images[val_rows[:16]], step_fn.step - 1)
    print(f"validation accuracy {accuracy:.3f}\ntensorboard --logdir {log_dir}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log-dir", default="runs/flax-linen")
    parser.add_argument("--epochs", type=int, default=5)
    arguments = parser.parse_args()
    main(arguments.log_dir, arguments.epochs)

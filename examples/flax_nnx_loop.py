"""A Flax NNX training loop on handwritten digits, logged by multiboard: `python examples/flax_nnx_loop.py --epochs 5`."""

import argparse

import numpy as np
import optax
from flax import nnx
from sklearn.datasets import load_digits

import multiboard as mb
import multiboard.jax as mbj


class Classifier(nnx.Module):
    def __init__(self, rngs):
        self.conv1 = nnx.Conv(1, 16, (3, 3), rngs=rngs)
        self.norm = nnx.GroupNorm(16, num_groups=4, rngs=rngs)
        self.dense1 = nnx.Linear(16 * 4 * 4, 64, rngs=rngs)
        self.dense2 = nnx.Linear(64, 10, rngs=rngs)

    def __call__(self, images):  # [N, 8, 8, 1] -> [N, 10]
        x = nnx.max_pool(nnx.relu(self.norm(self.conv1(images))), (2, 2), strides=(2, 2))
        return self.dense2(nnx.relu(self.dense1(x.reshape(len(x), -1))))


class Batches:
    """A set in batches, in another order each time."""

    def __init__(self, images, labels, size, rng):
        self.images, self.labels, self.size, self.rng = images, labels, size, rng

    def __iter__(self):
        order = self.rng.permutation(len(self.labels))
        for first in range(0, len(order) - self.size + 1, self.size):
            rows = order[first : first + self.size]
            yield self.images[rows], self.labels[rows]


def loss_and_accuracy(model, images, labels):
    logits = model(images)
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
    return loss, (logits.argmax(1) == labels).mean()


def train_step(model, optimizer, images, labels):
    (loss, accuracy), grads = nnx.value_and_grad(loss_and_accuracy, has_aux=True)(model, images, labels)
    optimizer.update(model, grads)  # before Flax 0.11: optimizer.update(grads)
    return {"loss": loss, "accuracy": accuracy}


def main(log_dir, epochs, batch_size=64):
    rng = np.random.default_rng(0)
    digits = load_digits()
    images = (digits.images[..., None] / 16).astype(np.float32)  # pixels are 0 to 16
    labels = digits.target.astype(np.int32)
    train_rows, val_rows = np.split(rng.permutation(len(images)), [1437])
    batches, val_set = Batches(images[train_rows], labels[train_rows], batch_size, rng), (images[val_rows], labels[val_rows])
    model = Classifier(nnx.Rngs(0))
    schedule = optax.cosine_decay_schedule(3e-3, decay_steps=epochs * (len(train_rows) // batch_size))
    optimizer = nnx.Optimizer(model, optax.adam(schedule), wrt=nnx.Param)
    evaluate = nnx.jit(loss_and_accuracy)

    with mb.Run(log_dir, config={"epochs": epochs, "batch_size": batch_size}) as run:
        step_fn = mbj.wrap_train_step(train_step, run, every=10, activations=["dense1"], learning_rate=schedule)
        loop = mbj.loop(batches, run, watching=step_fn)
        run.text("run/notes", "Digits of **8 x 8** pixels, one convolution, two dense layers.", step=0)
        for _ in range(epochs):
            for batch in loop:
                step_fn(model, optimizer, *batch)  # logs the metrics, too
            loss, accuracy = evaluate(model, *val_set)
            run.log({"val/loss": loss, "val/accuracy": accuracy}, loop.step)
        run.image("val/examples", val_set[0][:16], loop.step)
    print(f"validation accuracy {accuracy:.3f}\ntensorboard --logdir {log_dir}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log-dir", default="runs/flax-nnx")
    parser.add_argument("--epochs", type=int, default=5)
    arguments = parser.parse_args()
    main(arguments.log_dir, arguments.epochs)

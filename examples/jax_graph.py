"""The graph of a Flax model and of its training step, from shapes alone: `python examples/jax_graph.py --log-dir runs/graph`."""

import argparse

import jax
import optax
from flax import linen as nn

import multiboard as mb
import multiboard.jax as mbj


class Classifier(nn.Module):
    @nn.compact
    def __call__(self, images):  # [N, 8, 8, 1] -> [N, 10]
        x = nn.relu(nn.GroupNorm(num_groups=4, name="norm")(nn.Conv(16, (3, 3), name="conv1")(images)))
        x = nn.max_pool(x, (2, 2), strides=(2, 2)).reshape(len(x), -1)
        return nn.Dense(10, name="dense2")(nn.relu(nn.Dense(64, name="dense1")(x)))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log-dir", default="runs/graph")
    log_dir = parser.parse_args().log_dir
    model, tx = Classifier(), optax.adamw(1e-3)
    images, labels = jax.ShapeDtypeStruct((32, 8, 8, 1), "float32"), jax.ShapeDtypeStruct((32,), "int32")
    params = jax.eval_shape(model.init, jax.random.key(0), images)

    @jax.jit
    def train_step(params, opt_state, images, labels):
        def loss_of(params):
            return optax.softmax_cross_entropy_with_integer_labels(model.apply(params, images), labels).mean()

        loss, grads = jax.value_and_grad(loss_of)(params)
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    with mb.Run(log_dir) as run:
        graph = mbj.graph(model, params, images, run=run)
        mbj.graph(train_step, params, jax.eval_shape(tx.init, params), images, labels, run=run, tag="train_step")
    print(f"{sum(node.params for node in graph.nodes)} parameters, {sum(node.flops for node in graph.nodes)} FLOPs per batch")
    print(f"tensorboard --logdir {log_dir}")


if __name__ == "__main__":
    main()

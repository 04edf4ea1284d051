"""Small trainings without a framework, to be compared."""

import numpy as np
import pytest

import multiboard as mb
from multiboard.layer_rows import LayerRow, LayerRows, RoleRow


def train(directory, *, steps=6, every=1, rate=0.1, seed=0, change=None, names=("first", "second"), start=0, facts=True):
    """Train layers by gradient descent and log what a watch would log; `change(step, layer, gradient)` may replace a gradient."""
    rng = np.random.default_rng(seed)
    weights = {name: rng.normal(size=(64, 16)) for name in names}
    targets = {name: rng.normal(size=(64, 16)) for name in names}
    with mb.Run(directory, config={"rate": rate}, facts=facts) as run:
        for step in range(steps):
            loss, grads, updates = 0.0, {}, {}
            for name in names:
                loss += float(np.square(weights[name] - targets[name]).mean())
                gradient = 2 * (weights[name] - targets[name])
                grads[name] = change(step, name, gradient) if change else gradient
                updates[name] = -rate * grads[name]
            if step >= start:
                run.log({"train/loss": loss}, step)
            if step >= start and step % every == 0:
                for group, tensors in (("params", weights), ("grads", grads), ("updates", updates)):
                    for name, values in tensors.items():
                        run.histogram(f"{group}/{name}/kernel", values, step)
                        run.log({f"norm/{group}/{name}/kernel": float(np.linalg.norm(values))}, step)
            weights = {name: weights[name] + updates[name] for name in names}
    return directory


@pytest.fixture
def trained(tmp_path):
    """A function that trains into a directory of the given name and returns it."""
    return lambda name, **settings: train(tmp_path / name, **settings)


WEIGHTS = {
    "conv1/kernel": (3, 3, 1, 4),
    "conv2/kernel": (3, 3, 4, 8),
    "norm/scale": (8,),
    "norm/bias": (8,),
    "fc1/kernel": (32, 16),
    "fc1/bias": (16,),
    "fc2/kernel": (16, 16),
    "fc3/kernel": (16, 10),
}
OUTPUTS = {
    "conv1": (64, 8, 8, 4), "conv2": (64, 4, 4, 8), "norm": (64, 4, 4, 8), "act": (64, 4, 4, 8), "fc1": (64, 16),
    "drop": (64, 16), "fc2": (64, 16), "gelu": (512, 64), "fc3": (64, 10),
}  # fmt: skip
CLASSES = {"conv": "Conv", "norm": "BatchNorm", "act": "Activation", "drop": "Dropout", "gelu": "GELU"}


def table():
    """Return the layer table of the model."""
    rows = []
    for order, layer in enumerate(OUTPUTS):
        roles = tuple(
            RoleRow(path.rpartition("/")[2], path, path, shape) for path, shape in WEIGHTS.items() if path.startswith(f"{layer}/")
        )
        rows.append(LayerRow(layer, CLASSES.get(layer.rstrip("12"), "Dense"), order, roles))
    return LayerRows("keras", tuple(rows))


@pytest.fixture
def written(tmp_path):
    """A function that writes what a watch would write of one model, with changes, and returns the run's directory.

    A change is a number to multiply with, or a function of step, path and value that returns a value.
    """
    rng = np.random.default_rng(0)
    weights = {path: rng.normal(size=shape) for path, shape in WEIGHTS.items()}
    weights |= {"norm/scale": np.ones(8), "norm/bias": np.zeros(8), "fc1/bias": np.zeros(16)}
    grads = {path: rng.normal(size=value.shape) * 0.1 * number for number, (path, value) in enumerate(weights.items(), 1)}
    updates = {path: -0.01 * np.sign(value) * rng.uniform(0.5, 1, value.shape) for path, value in grads.items()}
    outputs = {path: rng.normal(size=shape) for path, shape in OUTPUTS.items()}
    buffers = {"norm/mean": rng.normal(size=8), "norm/var": np.full(8, 2.0)}
    groups = {"params": weights, "activations": outputs, "grads": grads, "updates": updates, "buffers": buffers}

    def write(name, without=(), **changes):
        def changed(group, step, path, value):
            change = changes.get(group, 1.0)
            return change(step, path, value) if callable(change) else value * change

        with mb.Run(tmp_path / name, facts={"framework": "keras"}) as run:
            run.describe_layers(table(), 0)
            for step in (0, 10, 20):
                for group in groups.keys() - set(without):
                    for path, value in groups[group].items():
                        tag, found = f"{group}/{path}", changed(group, step, path, value)
                        run.histogram(tag, found, step)
                        run.log({f"norm/{tag}": float(np.linalg.norm(found))}, step)
                for tag, value in (("train/loss", 2.0), ("val/loss", 2.0), ("train/learning_rate", 0.01)):
                    run.log({tag: changed(tag.partition("/")[2] if tag != "val/loss" else "val", step, tag, value)}, step)
        return tmp_path / name

    return write


@pytest.fixture
def only():
    """A function that returns a change of one tensor by a number, or by a function of its value."""
    return _only


def _only(path, change):
    return lambda _step, name, value: value if name != path else change(value) if callable(change) else value * change

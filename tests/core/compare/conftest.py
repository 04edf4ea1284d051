"""Small trainings without a framework, to be compared."""

import numpy as np
import pytest

import multiboard as mb


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

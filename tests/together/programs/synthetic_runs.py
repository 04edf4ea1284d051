"""Writes runs of one made-up model that differ in one layer from one step on: <directory> [--runs N] [--layers N] [--steps N]."""

import argparse
import functools
import itertools
from pathlib import Path

import numpy as np

import multiboard as mb
from multiboard.buckets import measure
from multiboard.graph import Frame, Graph, Node, TensorSpec

NAMES = ("torch", "flax", "keras", "torch-seed1", "torch-seed2", "torch-seed3")
PER_BLOCK = 4
DISTINCT = 16
LARGER = 3.0
BEGIN = 1.7e9
SHAPE = (16, 4)
SPEC = TensorSpec(SHAPE, "float32")
PROFILE = {"profile/step_ms": 12.5, "profile/input_pct": 3.0, "profile/mem_peak_bytes": 2.0**20}


def layer_names(count):
    """Return the paths of the layers, in the order of their calls."""
    return [f"block{number // PER_BLOCK}/dense{number % PER_BLOCK}" for number in range(count)]


def graph(layers, framework):
    """Return the layers as a chain."""
    frames, nodes = {}, [Node("Input", (), (), (SPEC,), "x")]
    for path in layers:
        parts = ("Model", *path.split("/"))
        for depth in range(len(parts)):
            cls = "Model" if not depth else "Linear" if depth == len(parts) - 1 else "Block"
            frames.setdefault(parts[: depth + 1], Frame("module", parts[depth], cls, len(frames) + 1))
        scope = tuple(frames[parts[: depth + 1]] for depth in range(len(parts)))
        held = {"path": f"{path}/kernel", "native": f"{path.replace('/', '.')}.weight", "trainable": True}
        weight = Node("Parameter", scope, (), (SPEC,), "kernel", held, params=SHAPE[0] * SHAPE[1])
        nodes += [weight, Node("matmul", scope, ((last(nodes), 0), (len(nodes), 0)), (SPEC,))]
    nodes.append(Node("Output", (), ((last(nodes), 0),), (SPEC,), "output"))
    return Graph(framework, tuple(nodes))


def last(nodes):
    return len(nodes) - 1


@functools.cache
def banks(scale):
    """Return a few distributions of gradients and weights, which the tensors of all layers and steps take turns in."""
    rng = np.random.default_rng(0)
    drawn = [rng.normal(size=SHAPE) for _ in range(DISTINCT)]
    return [measure(values * scale) for values in drawn]


def write(directory, name, *, layers, steps, extra=(), part=None, kinds=("grads", "params")):
    """Write a run.

    Args:
        directory: of the runs.
        name: of the run; its first word is its framework.
        layers: how many it has.
        steps: how many it makes.
        extra: further layers, in the graph only.
        part: layer, by its number, and step from which its gradients are larger; the loss follows three steps later.
        kinds: what is captured of tensors.
    """
    framework, seed = name.partition("-")[0], NAMES.index(name) if name in NAMES else 0
    names = layer_names(layers)
    facts = {"framework": framework, "host": None, "command": None}
    with mb.Run(Path(directory) / name, config={"lr": 0.1, "seed": seed}, facts=facts, overflow="block") as run:
        run.graph(graph([*names, *extra], framework))
        for step in range(steps):
            worse = part is not None and step >= part[1] + 3
            loss = 2.0 * 0.97**step * (1.1 if worse else 1.0)
            run.log({"train/loss": loss, "train/epoch": step / 10}, step, wall_time=BEGIN + step)
            write_tensors(run, names, step, part, kinds)
        write_media(run, steps, seed)


def write_tensors(run, names, step, part, kinds):
    """Write a histogram and a norm of each tensor."""
    for (number, path), kind in itertools.product(enumerate(names), kinds):
        parted = part is not None and number == part[0] and step >= part[1] and kind == "grads"
        held = banks(LARGER if parted else 1.0)[(number + step) % DISTINCT]
        tag = f"{kind}/{path}/kernel"
        run.histogram(tag, held, step, description=f"`{path}.weight` of Linear", wall_time=BEGIN + step)
        run.log({f"norm/{tag}": held.norm}, step, wall_time=BEGIN + step)


def write_media(run, steps, seed):
    """Write pictures, sounds, texts and what a profile tells, some of each."""
    for step in sorted({0, steps // 2, steps - 1}):
        pixels = np.full((8, 12, 3), (40 * seed % 256, step % 256, 120), np.uint8)
        run.image("samples/picture", pixels, step)
        run.audio("samples/sound", np.sin(np.arange(400) / (seed + 3)).astype(np.float32)[:, None], step, sample_rate=8000)
        run.text("samples/text", f"step {step} of seed {seed}", step)
    run.log({tag: value * (seed + 1) for tag, value in PROFILE.items()}, steps - 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory")
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--kinds", default="grads,params")
    chosen = parser.parse_args()
    at = (chosen.layers // 2, chosen.steps // 2)
    for number, name in enumerate(NAMES[: chosen.runs]):
        kinds = tuple(chosen.kinds.split(","))
        write(chosen.directory, name, layers=chosen.layers, steps=chosen.steps, part=at if number == 1 else None, kinds=kinds)


if __name__ == "__main__":
    main()

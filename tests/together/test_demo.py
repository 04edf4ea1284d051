"""The demo trains the same model in three frameworks, and TensorBoard shows three runs with the same tags, steps and values."""

import subprocess
import sys

import numpy as np
import pytest

import multiboard as mb
from multiboard.graph import Summary, diff

STEPS, EVERY = 50, 10
DEMO = "demo"
RUNS = ("torch", "flax", "keras")
NORM, BIASED = ("scale", "bias"), ("kernel", "bias")
LAYERS = {
    "conv1": ("kernel",),
    "norm1": NORM,
    "conv2": BIASED,
    "norm2": NORM,
    "dense1": BIASED,
    "dense2": BIASED,
    "dense3": BIASED,
}
OF_PARAMETERS = ("params", "grads", "updates")
GROUPS = (*OF_PARAMETERS, "buffers", "activations")
PATHS = [f"{layer}/{role}" for layer, roles in LAYERS.items() for role in roles]
OUTPUTS = [*LAYERS, "gelu1", "gelu2", "gelu3", "gelu4"]
TENSORS = sorted(
    [f"{group}/{path}" for group in OF_PARAMETERS for path in PATHS]
    + ["buffers/norm1/mean", "buffers/norm1/var"]
    + [f"activations/{layer}" for layer in OUTPUTS]
)
METRICS = ["train/loss", "train/accuracy", "val/loss", "val/accuracy", "train/epoch", "train/learning_rate"]
NUMBERS = [f"norm/{tag}" for tag in [*TENSORS, *GROUPS]] + [f"nonfinite/{group}" for group in GROUPS]
NUMBERS += ["update_ratio", *(f"update_ratio/{path}" for path in PATHS)]
TIMES = "perf/"
"""Step times are at steps of their own."""


@pytest.fixture(scope="module")
def demo(board_dir):
    """The runs of the demo, started as a user starts it, read back from their files."""
    command = [
        sys.executable,
        "-m",
        "multiboard.cli",
        "demo",
        "--steps",
        str(STEPS),
        "--every",
        str(EVERY),
        "--log-dir",
        str(board_dir / DEMO),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, mb.read(board_dir / DEMO)


def test_it_prints_the_table_and_the_command(demo, board_dir):
    out, _ = demo
    for word in (
        *RUNS,
        "train/loss",
        "val/accuracy",
        "difference",
        "1e-05",
        f"tensorboard --logdir {board_dir / DEMO}",
    ):
        assert word in out


@pytest.mark.parametrize("run", RUNS)
def test_each_run_has_exactly_the_uniform_tags(demo, run):
    data = demo[1][run]
    assert sorted(data.histograms) == TENSORS
    assert sorted(tag for tag in data.scalars if not tag.startswith(TIMES)) == sorted(METRICS + NUMBERS)
    assert data.scalars.keys() >= {"perf/step_ms", "perf/examples_per_s"}
    assert (list(data.images), sorted(data.texts)) == (["val/examples"], ["graph/summary", "run/notes"])
    assert data.graphs.keys() - {"keras"} == {"Default", "layer", "api", "op", "flops"}
    assert data.status == "success"
    assert not data.damage


def test_the_layers_of_the_three_graphs_are_the_same(demo):
    torch, *others = (Summary.from_json(demo[1][run].tensors["multiboard/graph"].value[0].item().decode()) for run in RUNS)
    assert torch.totals.params == 42_522
    for other in others:
        assert diff(torch, other).rows == ()


def test_the_steps_of_every_tag_are_the_same_in_all_runs(demo):
    runs = demo[1]
    for kind in ("scalars", "histograms", "images", "texts"):
        for tag, column in getattr(runs["torch"], kind).items():
            if tag.startswith(TIMES):
                continue
            for other in ("flax", "keras"):
                np.testing.assert_array_equal(getattr(runs[other], kind)[tag].step, column.step, err_msg=f"{other} {tag}")
    assert runs["torch"].scalars["train/loss"].step.tolist() == list(range(STEPS))
    assert runs["torch"].histograms["params/conv1/kernel"].step.tolist() == list(range(0, STEPS, EVERY))
    assert runs["torch"].scalars["val/loss"].step.tolist() == [21, 43, 49]


def test_the_curves_coincide_until_floating_point_tells_them_apart(demo):
    losses = {run: demo[1][run].scalars["train/loss"].value for run in RUNS}
    for run in RUNS:
        np.testing.assert_allclose(losses[run][:5], losses["torch"][:5], rtol=2e-6)
        np.testing.assert_allclose(losses[run], losses["torch"], atol=1e-3)
        assert losses[run][-10:].mean() < 0.5 * losses[run][:5].mean()


@pytest.mark.parametrize("group", ["params", "grads"])
def test_at_the_first_step_all_runs_measure_the_same_tensors(demo, group):
    for tag in (tag for tag in TENSORS if tag.startswith(group)):
        rows = {run: demo[1][run].histograms[tag].value[0] for run in RUNS}
        norms = [demo[1][run].scalars[f"norm/{tag}"].value[0] for run in RUNS]
        np.testing.assert_allclose(norms, norms[0], rtol=1e-4, err_msg=tag)
        assert len({rows[run][:, 2].sum() for run in RUNS}) == 1, tag
        if group == "params":  # ported weights are the same floats, so the buckets are the same to the last count
            for run in RUNS:
                np.testing.assert_array_equal(rows[run], rows["torch"], err_msg=f"{run} {tag}")


@pytest.mark.usefixtures("demo")
def test_tensorboard_lists_the_same_scalar_and_histogram_tags_for_all_runs(board):
    names = {f"{DEMO}/{run}" for run in RUNS}

    def listed(plugin):
        tags = board.json(f"data/plugin/{plugin}/tags")
        return {name: sorted(tag for tag in tags.get(name, ()) if not tag.startswith(TIMES)) for name in names}

    for plugin, expected in (("scalars", METRICS + NUMBERS), ("histograms", TENSORS)):
        wanted = dict.fromkeys(names, sorted(expected))
        assert board.wait_for(lambda plugin=plugin: listed(plugin), lambda tags, wanted=wanted: tags == wanted) == wanted


@pytest.mark.parametrize("run", RUNS)
def test_tensorboard_serves_the_scalars_that_were_logged(board, demo, run):
    for tag, column in demo[1][run].scalars.items():
        points = board.wait_for(
            lambda tag=tag: board.scalars(f"{DEMO}/{run}", tag), lambda p, column=column: len(p) == len(column)
        )
        assert [step for _, step, _ in points] == column.step.tolist(), tag
        np.testing.assert_array_equal([value for *_, value in points], column.value, err_msg=tag)


@pytest.mark.parametrize("run", RUNS)
def test_tensorboard_serves_the_histograms_that_were_logged(board, demo, run):
    for tag, column in demo[1][run].histograms.items():
        points = board.wait_for(
            lambda tag=tag: board.json("data/plugin/histograms/histograms", run=f"{DEMO}/{run}", tag=tag),
            lambda p, column=column: len(p) == len(column),
        )
        for (_, step, rows), expected_step, expected in zip(points, column.step, column.value, strict=True):
            assert step == expected_step
            np.testing.assert_array_equal(np.reshape(rows, (-1, 3)), expected, err_msg=tag)


@pytest.mark.usefixtures("demo")
def test_tensorboard_shows_the_three_frameworks_as_rows_of_hyper_parameters(board):
    def frameworks():
        _, rows = board.hparams()
        return {row["hparams"].get("framework") for name, row in rows.items() if name.startswith(DEMO)}

    assert board.wait_for(frameworks, lambda found: len(found) == 3) == {"torch", "flax", "keras-jax"}


@pytest.mark.parametrize("run", RUNS)
def test_tensorboard_serves_the_image_and_the_text(board, demo, run):
    images = board.wait_for(
        lambda: board.json("data/plugin/images/images", run=f"{DEMO}/{run}", tag="val/examples", sample=0),
        lambda found: len(found) == 1,
    )
    body, _ = board.bytes("data/plugin/images/individualImage?" + images[0]["query"])
    assert body == demo[1][run].images["val/examples"].value[0][0]
    (text,) = board.json("data/plugin/text/text", run=f"{DEMO}/{run}", tag="run/notes")
    assert "<table>" in text["text"]

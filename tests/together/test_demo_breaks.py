"""Each classical mistake that the demo can make is found: the right layer, the right step, the right diagnosis."""

import contextlib
import io
import subprocess
import sys

import pytest
from click.testing import CliRunner

import multiboard as mb
from multiboard.cli import main
from multiboard.demo.breaks import BREAKS

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras on PyTorch
FOUND = {
    "norm-epsilon": ("activations", "norm2", 0, "epsilon of a norm"),
    "batchnorm-momentum": ("buffers", "norm1/mean", 0, "momentum of a batch norm"),
    "decay-norms": ("updates", "norm1/scale", 0, "weight decay on norms and biases"),
    "init-gain": ("params", "dense1/kernel", 0, "gain of initial weights"),
    "gelu-tanh": ("activations", "gelu1", 0, "GELU: tanh or erf"),
    "transposed-kernel": ("activations", "dense2", 0, "transposed kernel"),
    "missing-bias": ("parameters", "dense3", None, "missing bias"),
    "schedule-off-by-one": ("schedule", "train/learning_rate", 0, "learning-rate schedule off by one"),
    "loss-sum": ("loss", "train/loss", 0, "reduction of the loss"),
    "dropout-in-eval": ("loss", "val/loss", 11, "training mode in evaluation"),
    "coupled-decay": ("updates", "conv1/kernel", 0, "weight decay"),
    "optimizer-epsilon": ("updates", "conv1/kernel", 0, "epsilon of the optimizer"),
    "input-scale": ("activations", "conv1", 0, "inputs of another scale"),
    "shuffle": ("activations", "conv1", 0, "other inputs"),
    "padding": ("activations", "conv2", 0, "padding of a convolution"),
    "flatten-order": ("activations", "dense1", 0, "order of flattened inputs"),
}
"""Kind, name and step of the first divergence, and the title of the first diagnosis."""
SMALL = {"norm-epsilon", "gelu-tanh"}
"""They change outputs by a thousandth, which is within tolerance."""


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    """A function that trains the demo's model in this process, once per mistake, framework, seed and other change."""
    pytest.importorskip("sklearn")
    from multiboard.demo.breaks import choices
    from multiboard.demo.digits import Settings

    directory, done = tmp_path_factory.mktemp("breaks"), {}

    def run(framework, mistake=None, seed=0, steps=12, every=2, learning_rate=0.005):
        program = pytest.importorskip(f"multiboard.demo.train_{framework}")
        key = framework, mistake, seed, steps, every, learning_rate
        if key not in done:
            path = directory / "-".join(map(str, key)) / framework
            changes = {"seed": seed, "learning_rate": learning_rate, "choices": choices(mistake, framework)}
            settings = Settings(str(path), steps, every, **changes)
            with contextlib.redirect_stdout(io.StringIO()):
                program.main(settings)
            done[key] = mb.read(path)["."]
        return done[key]

    return run


def check(found, mistake):
    """Assert that a comparison names the layer, the step and the mistake."""
    kind, name, step, title = FOUND[mistake]
    assert found.code == 1, str(found)
    if kind == "parameters":
        assert not found.divergence
        assert [(one.what, one.fails) for one in found.gate] == [(kind, True)]
    else:
        assert (found.divergence[0].kind, found.divergence[0].name, found.divergence[0].step) == (kind, name, step), str(found)
    diagnosis = found.diagnoses[0]
    assert (diagnosis.title, diagnosis.step) == (title, step)
    assert diagnosis.layer in {name, name.rpartition("/")[0], ""}
    assert diagnosis.layer or kind in {"schedule", "loss"}


def compare(mistake, *runs):
    return mb.compare(*runs, names=("right", "wrong"), tolerance={"activations": 1e-5} if mistake in SMALL else None)


def test_every_mistake_of_the_demo_is_expected_somewhere():
    assert FOUND.keys() == BREAKS.keys()


@pytest.mark.parametrize("mistake", [name for name in BREAKS if "torch" in BREAKS[name].frameworks])
def test_a_mistake_in_pytorch_is_found_against_flax(train, mistake):
    check(compare(mistake, train("flax"), train("torch", mistake)), mistake)


@pytest.mark.parametrize(
    ("framework", "mistake"),
    [
        pytest.param(framework, name, marks=() if (framework, name) == ("flax", "padding") else pytest.mark.long)
        for name, one in BREAKS.items()
        for framework in one.frameworks
        if framework != "torch"
    ],
)
def test_a_mistake_in_another_framework_is_found_against_pytorch(train, framework, mistake):
    check(compare(mistake, train("torch"), train(framework, mistake)), mistake)


@pytest.mark.parametrize("mistake", ["norm-epsilon", "gelu-tanh"])
def test_a_small_mistake_is_told_although_the_runs_are_within_tolerance(train, mistake):
    found = mb.compare(train("torch"), train("torch", mistake), kinds=["activations"])
    assert found.code == 0
    assert [(one.title, one.layer, one.step) for one in found.diagnoses] == [
        (FOUND[mistake][3], FOUND[mistake][1], 0),
    ]


def test_a_small_mistake_leads_what_follows_from_it(train):
    found = mb.compare(train("torch", steps=30, every=6), train("torch", "norm-epsilon", steps=30, every=6))
    assert found.code == 1
    assert found.divergence[0][1:7] == ("activations", "norm2", "norm2", 0, None, 0)
    assert found.divergence[0].distance < found.tolerances["activations"]
    assert found.divergence[1].step > 0


def test_the_epsilons_of_a_norm_are_told_from_the_variance_that_is_missing(train):
    (diagnosis,) = compare("norm-epsilon", train("torch"), train("torch", "norm-epsilon")).diagnoses
    assert "1e-05 and 0.001" in " ".join(diagnosis.evidence)


@pytest.mark.parametrize(
    ("framework", "seed", "steps", "every"),
    [
        ("torch", 0, 12, 2),
        ("keras", 0, 12, 2),
        *(
            pytest.param(framework, seed, steps, 10, marks=pytest.mark.long)
            for framework in ("torch", "keras")
            for seed in range(5)
            for steps in (20, 220)
        ),
    ],
)
def test_without_a_mistake_nothing_is_found(train, framework, seed, steps, every):
    found = mb.compare(*(train(name, None, seed, steps, every) for name in ("flax", framework)), names=("right", "other"))
    assert found.code == 0, str(found)
    assert found.diagnoses == ()


def test_two_frameworks_are_within_the_default_tolerance_in_every_layer(train):
    found = mb.compare(train("torch"), train("flax"), names=("torch", "flax"))
    assert found.code == 0, str(found)
    layers = {"conv1", "norm1", "conv2", "norm2", "dense1", "dense2", "dense3"}
    assert {row.layer for row in found.layers} == layers | {"gelu1", "gelu2", "gelu3", "gelu4"}
    assert {row.kind for row in found.layers} == {"params", "grads", "updates", "buffers", "activations"}
    assert max(row.distance for row in found.layers) < 1e-4
    assert all(pair.level != "guess" for pair in found.alignments["flax"].pairs)


@pytest.mark.parametrize("baseline", ["torch", "flax"])
def test_a_learning_rate_that_is_a_hundredth_larger_is_found_at_the_first_step(train, baseline):
    runs = train(baseline), train("torch", learning_rate=0.00505)
    found = mb.compare(*runs)
    assert found.code == 1
    assert (found.divergence[0].name, found.divergence[0].step) == ("train/learning_rate", 0)
    assert {(one.kind, one.step) for one in found.divergence[1:]} == {("updates", 0)}
    assert found.divergence[1].distance == pytest.approx(0.01, rel=0.05)
    assert [one.name for one in found.gate if one.what == "config"] == ["learning_rate"]
    assert [one.title for one in found.diagnoses] == ["another learning rate"]
    grads = mb.compare(*runs, kinds=["grads"], tolerance={"grads": 1e-5})
    assert grads.divergence[0].step > 0


def test_the_command_makes_a_mistake_and_prints_where_it_shows_and_what_it_may_be(tmp_path):
    pytest.importorskip("flax")
    options = ["--frameworks", "torch,flax", "--break", "init-gain", "--in", "torch", "--steps", "4", "--every", "2"]
    command = [sys.executable, "-m", "multiboard.cli", "demo", *options, "--log-dir", str(tmp_path / "demo")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "In torch, the first dense layer starts with weights twice as large." in done.stdout
    assert "torch parts from flax first in params dense1/kernel at step 0" in done.stdout
    assert "torch may have: gain of initial weights (dense1, step 0)" in done.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--break", "padding", "--in", "torch"], "padding can be made in flax, keras"),
        (["--break", "padding", "--frameworks", "torch,keras", "--in", "flax"], "padding can be made in keras"),
        (["--break", "gelu-tanh", "--frameworks", "torch"], "train two frameworks or more"),
        (["--in", "torch"], "--in says where to make the mistake that --break names"),
        (["--break", "nonsense"], "is not one of 'norm-epsilon'"),
    ],
)
def test_a_mistake_that_cannot_be_made_is_an_error_before_anything_is_trained(options, message, tmp_path):
    done = CliRunner().invoke(main, ["demo", "--log-dir", str(tmp_path / "demo"), *options])
    assert done.exit_code
    assert message in done.output
    assert not (tmp_path / "demo").exists()

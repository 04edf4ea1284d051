"""The command `multiboard compare` prints the divergence and tells by its status what it found."""

import json
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from click.testing import CliRunner

import multiboard as mb
from multiboard.cli import main


@pytest.fixture
def trained(tmp_path):
    """A function that logs the descent of some layers and returns the directory; `change(step, gradient)` replaces a gradient."""

    def train(name, names=("first", "second"), *, seed=0, rate=0.1, steps=range(6), change=lambda _, gradient: gradient):
        rng = np.random.default_rng(seed)
        weights = {layer: rng.normal(size=(64, 16)) for layer in names}
        with mb.Run(tmp_path / name, config={"rate": rate}) as run:
            for step in steps:
                grads = {layer: change(step, 2 * values) for layer, values in weights.items()}
                updates = {layer: -rate * values for layer, values in grads.items()}
                run.log({"train/loss": sum(float(np.square(values).mean()) for values in weights.values())}, step)
                for group, tensors in (("params", weights), ("grads", grads), ("updates", updates)):
                    for layer, values in tensors.items():
                        run.histogram(f"{group}/{layer}/kernel", values, step)
                        run.log({f"norm/{group}/{layer}/kernel": float(np.linalg.norm(values))}, step)
                weights = {layer: values + updates[layer] for layer, values in weights.items()}
        return tmp_path / name

    return train


@pytest.fixture
def command():
    """A function that runs the command in a terminal of 200 columns."""
    return lambda *arguments: CliRunner(env={"COLUMNS": "200"}).invoke(main, ["compare", *map(str, arguments)])


@pytest.fixture
def runs(trained):
    return trained("a"), trained("b"), trained("c", change=lambda step, g: g * 1.3 if step > 2 else g)


def test_the_status_tells_within_tolerance_diverged_or_not_compared(command, runs, trained):
    a, b, c = runs
    assert command(a, b).exit_code == 0
    assert "within tolerance" in command(a, b).output
    assert command(a, c).exit_code == 1
    assert command(a, trained("d", steps=range(10, 12))).exit_code == 2
    assert command(a, a / "none").exit_code == 2
    assert command(a).exit_code == 2


def test_the_table_names_the_first_divergence(command, runs):
    output = command(runs[0], runs[2]).output
    assert "first in grads second/kernel at step 3" in output
    assert "conv" not in output


def test_tolerances_come_from_options_and_files(command, runs, tmp_path):
    file = tmp_path / "tolerance.toml"
    file.write_text("grads = 0.5\nupdates = 0.5\nparams = 0.5\nloss = 0.5\n")
    assert command(runs[0], runs[2], "--tolerance", file).exit_code == 0
    assert command(runs[0], runs[2], "--tolerance", "0.5").exit_code == 0
    assert command(runs[0], runs[2], "--tolerance", file, "--tolerance", "grads=0.1").exit_code == 1
    kinds = ("--kind", "grads", "--kind", "params")
    assert command(runs[0], runs[2], "--tolerance", "grads=0.1", "--tolerance", "0.5", *kinds).exit_code == 0


@pytest.mark.parametrize(
    ("tolerance", "message"), [("grad=1", "did you mean"), ("grads=x", "pass a file"), ("none.toml", "pass a file")]
)
def test_a_tolerance_that_is_none_is_one_line(command, runs, tolerance, message):
    done = command(runs[0], runs[1], "--tolerance", tolerance)
    assert done.exit_code == 2
    assert message in done.output
    assert "Traceback" not in done.output


def test_json_is_printed_alone(command, runs):
    done = command(runs[0], runs[2], "--json")
    assert json.loads(done.output)["divergence"][0]["step"] == 3
    assert done.exit_code == 1


def test_the_report_for_test_tools_has_a_failure_per_kind_that_parts(command, runs, tmp_path):
    command(runs[0], runs[2], "--junit", tmp_path / "out.xml")
    suite = ET.parse(tmp_path / "out.xml").getroot()  # noqa: S314  # our own file
    failed = {case.get("name") for case in suite if case.find("failure") is not None}
    assert failed == {"grads", "updates", "params", "loss"}
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == (str(len(suite)), "4", "0")
    assert "from step 3 on" in suite.find("testcase[@name='grads']/failure").get("message")
    assert command(runs[0], runs[1], "--junit", tmp_path / "none" / "out.xml").exit_code == 2


def test_layers_and_guesses_can_be_given(command, trained, tmp_path):
    a, b = trained("x", names=("up", "mid", "down")), trained("y", names=("dense", "dense_1", "dense_2"))
    other = trained("z", names=("dense", "dense_1", "dense_2"), seed=1)  # equal weights would leave nothing to be guessed
    assert command(a, other, "--kind", "grads").exit_code == 2
    assert "it is a guess" in command(a, other).output
    (tmp_path / "layers.toml").write_text('up = "dense"\nmid = "dense_1"\ndown = "dense_2"\n')
    assert command(a, b, "--layers", tmp_path / "layers.toml").exit_code == 0
    assert command(a, other, "--allow-guesses").exit_code == 1


def test_repeats_are_runs(command, runs, trained):
    assert (
        command(
            runs[0], trained("e", seed=1), "--noise", runs[0], "--noise", trained("f", seed=2), "--noise", trained("g", seed=3)
        ).exit_code
        == 0
    )
    assert command(runs[0], runs[1], "--noise", "bf16").exit_code == 0


def test_markup_in_names_is_printed_as_it_is(command, trained):
    done = command(trained("[red]a"), trained("[bold]b", rate=0.2))
    assert "[bold]b parts from [red]a" in done.output.replace("\n", "")
    assert done.exit_code == 1

"""`multiboard graph` shows and compares the layers of the models of runs."""

import json
import subprocess
import sys

import pytest
import rich

import multiboard as mb
from multiboard.graph import Frame, Graph, Node, TensorSpec, summarize

FLOAT = "float32"


def net(width):
    """A Sequential of one Linear layer."""
    model = (Frame("module", "Sequential", "Sequential", 1),)
    layer = (*model, Frame("module", "head", "Linear", 2))
    weight = {"path": "head/kernel", "native": "head.weight", "trainable": True}
    return Graph(
        "torch",
        (
            Node("Input", (), (), (TensorSpec((8, 4), FLOAT),), "x"),
            Node("Const_Parameter", layer, (), (TensorSpec((width, 4), FLOAT),), "kernel", weight, params=4 * width),
            Node("aten::mm", layer, ((0, 0), (1, 0)), (TensorSpec((8, width), FLOAT),), flops=2 * 8 * 4 * width),
            Node("aten::relu", model, ((2, 0),), (TensorSpec((8, width), FLOAT),)),
            Node("Output", (), ((3, 0),), (), "output"),
        ),
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A directory of three runs; the last one has no graph."""
    root = tmp_path_factory.mktemp("runs")
    for name, width in (("a", 8), ("b", 16)):
        with mb.Run(root / name) as run:
            run.graph(net(width))
            run.graph(net(2), tag="critic")
    mb.Run(root / "empty").close()
    return root


def command(*arguments):
    words = [sys.executable, "-m", "multiboard.cli", "graph", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def test_the_layers_of_a_run_are_printed(runs):
    done = command(runs / "a")
    assert done.returncode == 0, done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines() if "Linear" in line] == [["head", "Linear"]]
    assert "8\u00d78" in done.stdout


def test_a_further_graph_is_named(runs):
    assert "8\u00d72" in command(runs / "a", "--tag", "critic").stdout


def test_everything_is_printed_as_json(runs):
    told = json.loads(command(runs / "b", "--json").stdout)
    assert told["totals"]["params"] == 64
    assert [row["path"] for row in told["rows"]] == ["", "head"]


def test_differences_of_two_runs_end_with_status_one(runs):
    done = command(runs / "a", "--diff", runs / "b")
    assert done.returncode == 1
    assert "head: parameters 32 | 64" in done.stdout
    same = command(runs / "a", "--diff", runs / "a")
    assert (same.returncode, same.stdout) == (0, "no differences\n")


@pytest.mark.parametrize(("run", "message"), [("empty", "has no graph"), (".", "holds 3 runs; name one")])
def test_a_run_without_a_graph_is_one_sentence(runs, run, message):
    done = command(runs / run)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_the_table_fits_a_narrow_terminal_and_names_every_layer(capsys):
    table = summarize(net(8)).table()
    rich.print(table)
    out = capsys.readouterr().out
    assert all(len(line) <= 80 for line in out.splitlines())
    assert {"Sequential", "head", "Total"} <= set(out.split())


def test_names_of_layers_stay_in_a_narrow_table_of_a_training_step_with_times(capsys):
    step = net(8)
    nodes = [node._replace(us=1500.0, mem=4096) for node in step.nodes]
    back = (Frame("region", "backward", "", 3), *nodes[2].scope)
    rich.print(summarize(step._replace(nodes=(*nodes, nodes[2]._replace(scope=back)))).table())
    assert {"Sequential", "head", "Linear", "Total"} <= set(capsys.readouterr().out.split())

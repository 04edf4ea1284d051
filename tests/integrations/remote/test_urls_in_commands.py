"""URLs where a directory of runs can be named."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

import multiboard as mb
from multiboard.cli import main
from multiboard.errors import ArgumentError
from multiboard.graph import Frame, Graph, Node, TensorSpec


def upload(s3, directory, bucket, prefix):
    for file in directory.rglob("*"):
        if file.is_file():
            s3.upload_file(str(file), bucket.removeprefix("s3://"), f"{prefix}/{file.relative_to(directory).as_posix()}")


@pytest.fixture
def runs(bucket, s3, tmp_path):
    """The URL above two runs whose losses part at step 3."""
    for name, later in (("torch", 1.0), ("flax", 9.0)):
        with mb.Run(tmp_path / "runs" / name, facts=False) as run:
            for step in range(10):
                run.scalar("train/loss", 1.0 if step < 3 else later, step)
                run.histogram("params/dense/kernel", np.arange(10.0), step)
        upload(s3, tmp_path / "runs" / name, bucket, f"runs/{name}")
    return f"{bucket}/runs"


def invoke(*arguments):
    return CliRunner().invoke(main, list(arguments))


def test_compare_takes_urls_and_names_the_runs_by_their_ends(runs):
    done = invoke("compare", f"{runs}/torch", f"{runs}/flax")
    assert done.exit_code == 1
    assert "torch" in done.stdout
    assert "flax" in done.stdout


def test_mb_compare_and_mb_show_take_urls(runs, tmp_path):
    found = mb.compare(f"{runs}/torch", tmp_path / "runs" / "flax")
    assert found.names == ("torch", "flax")
    assert found.divergence[0].step == 3
    assert "flax" in mb.show(runs).html


def test_report_takes_a_url(runs, tmp_path):
    done = invoke("report", runs, "-o", str(tmp_path / "report.html"))
    assert done.exit_code == 0
    assert "flax" in (tmp_path / "report.html").read_text()


def test_export_takes_a_url(runs):
    done = invoke("export", runs, "--csv")
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) == 21


def test_inspect_takes_a_url(runs):
    done = invoke("inspect", runs, "--json")
    assert done.exit_code == 0
    assert set(json.loads(done.stdout)) == {"torch", "flax"}


@pytest.mark.parametrize("command", ["graph", "export", "inspect"])
def test_a_url_without_runs_is_one_sentence_and_no_traceback(command, bucket):
    done = invoke(command, f"{bucket}/nothing")
    assert done.exit_code != 0
    assert f"{bucket}/nothing" in done.output
    assert "holds no event files" in done.output


@pytest.mark.parametrize("command", ["serve", "inspect"])
def test_a_copy_that_cannot_be_written_is_one_sentence_and_no_traceback(command, runs, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    done = invoke(command, runs)
    assert isinstance(done.exception, SystemExit)
    assert str(tmp_path / "file") in done.output


def test_compare_of_a_url_without_runs_exits_as_one_that_was_not_done(bucket):
    assert invoke("compare", f"{bucket}/a", f"{bucket}/b").exit_code == 2


def test_read_takes_storage_options(runs, proxy, monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert set(mb.read(runs, storage_options=proxy.options())) == {"torch", "flax"}


def test_a_run_takes_the_names_of_the_layers_of_one_on_a_url(runs, tmp_path):
    with mb.Run(tmp_path / "new", align_to=f"{runs}/torch", facts=False) as run:
        run.scalar("x", 1.0, 0)
    with pytest.raises(ArgumentError, match=r"align_to.*2 runs"):
        mb.Run(tmp_path / "another", align_to=runs)
    with pytest.raises(ArgumentError, match=r"align_to.*holds no event files"):
        mb.Run(tmp_path / "another", align_to=f"{runs}/nothing")


def test_graph_takes_a_url(bucket, s3, tmp_path):
    kernel = {"path": "head/kernel", "native": "head.weight", "trainable": True}
    layer = (Frame("module", "head", "Linear", 1),)
    with mb.Run(tmp_path / "run", facts=False) as run:
        run.graph(
            Graph("torch", (Node("Const_Parameter", layer, (), (TensorSpec((2, 4), "float32"),), "kernel", kernel, params=8),))
        )
    upload(s3, tmp_path / "run", bucket, "runs/first")
    done = invoke("graph", f"{bucket}/runs/first", "--json")
    assert done.exit_code == 0
    assert done.stdout == invoke("graph", str(tmp_path / "run"), "--json").stdout
    assert "head" in done.stdout


def test_profile_summary_takes_a_url(bucket, s3, tmp_path):
    step = {"ph": "X", "cat": "user_annotation", "name": "ProfilerStep#3", "pid": 1, "tid": 1, "ts": 0, "dur": 100}
    operation = {"ph": "X", "cat": "cpu_op", "name": "aten::mm", "pid": 1, "tid": 1, "ts": 10, "dur": 50}
    trace = tmp_path / "trace.json"
    trace.write_text(json.dumps({"traceEvents": [step, operation]}))
    assert invoke("profile", "convert", str(trace), "--log-dir", str(tmp_path / "run")).exit_code == 0
    upload(s3, tmp_path / "run", bucket, "runs/first")
    local, remote = (invoke("profile", "summary", place, "--json") for place in (str(tmp_path / "run"), f"{bucket}/runs/first"))
    assert remote.exit_code == 0
    assert remote.stdout == local.stdout
    assert json.loads(remote.stdout).popitem()[1]["steps"][0]["number"] == 3

"""`multiboard report` writes one file."""

import pytest
from click.testing import CliRunner

import multiboard as mb
from multiboard import cli_report
from multiboard.cli import main


@pytest.fixture
def runs(tmp_path):
    """A directory above two runs, the second of which parts from the first."""
    for name, factor in (("flax", 1.0), ("torch", 1.5)):
        with mb.Run(tmp_path / "runs" / name) as run:
            for step in range(40):
                run.log({"train/loss": factor / (step + 1)}, step)
    return tmp_path / "runs"


@pytest.fixture
def command(tmp_path):
    """A function that runs the command with its output beside the runs and returns its result."""

    def run(*arguments):
        return CliRunner().invoke(main, ["report", "-o", str(tmp_path / "report.html"), *map(str, arguments)])

    return run


def test_the_file_is_the_page_of_the_library_and_its_size_and_the_verdict_are_told(runs, command, tmp_path):
    done = command(runs)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "report.html").read_text("utf-8") == mb.show(runs).html
    assert "report.html: " in done.stderr
    assert "torch parts from flax at step 0, first in loss train/loss." in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "report.html"}


def test_runs_are_taken_one_by_one_and_the_baseline_is_chosen(runs, command, tmp_path):
    assert command(runs / "flax", runs / "torch", "--baseline", "torch", "--title", "a < b").exit_code == 0
    page = (tmp_path / "report.html").read_text("utf-8")
    assert page == mb.show(runs / "flax", runs / "torch", baseline="torch", title="a < b").html
    assert "<title>a &lt; b</title>" in page


def test_tolerances_and_limits_reach_the_page(runs, command, tmp_path):
    done = command(runs, "--tolerance", "0.9", "--max-points", "10", "--media", "0")
    assert "within tolerance" in done.stderr
    limits = cli_report.limits_of(10, None, 0)
    assert (tmp_path / "report.html").read_text("utf-8") == mb.show(runs, tolerance=0.9, limits=limits).html


def test_a_file_that_is_very_large_is_told_with_what_makes_it_smaller(runs, command, monkeypatch):
    monkeypatch.setattr(cli_report, "LARGE", 1000)
    assert "--max-tensors, --max-points and --media make it smaller" in command(runs).stderr


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nothing"], "no event file"),
        (["runs", "runs/flax"], "the same run was given twice"),
        (["runs", "--baseline", "troch"], "Did you mean 'torch'"),
        (["runs", "--tolerance", "x"], "pass a file, a number"),
        (["runs", "--layers", "nothing.toml"], "cannot be read as TOML"),
    ],
)
def test_what_cannot_be_done_is_told_and_leaves_no_file(command, tmp_path, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    done = command(*arguments)
    assert done.exit_code == 1
    assert told in done.output
    assert not (tmp_path / "report.html").exists()


def test_a_page_that_was_there_stays_if_the_new_one_cannot_be_written(runs, tmp_path):
    done = CliRunner().invoke(main, ["report", str(runs), "-o", str(tmp_path / "absent" / "report.html")])
    assert done.exit_code == 1
    assert f"{tmp_path / 'absent' / 'report.html'} cannot be written: No such file" in done.output


def test_the_comparison_writes_the_same_page_if_that_is_asked_for(runs, tmp_path):
    out = tmp_path / "out.html"
    told = ["compare", str(runs / "flax"), str(runs / "torch"), "--tolerance", "0.1", "--report", str(out)]
    assert CliRunner().invoke(main, told).exit_code == 1
    assert out.read_text("utf-8") == mb.show(runs / "flax", runs / "torch", tolerance=0.1).html
    done = CliRunner().invoke(main, [*told[:-1], str(tmp_path / "absent" / "out.html")])
    assert done.exit_code == 2
    assert "cannot be written" in done.output

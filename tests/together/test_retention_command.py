"""`multiboard compact` and `multiboard prune` say what goes, and `prune` does it only with --yes."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import multiboard as mb
from multiboard.cli import main


def command(*arguments):
    return CliRunner().invoke(main, list(map(str, arguments)), catch_exceptions=False)


def files(directory):
    return {path.relative_to(directory): path.stat().st_size for path in directory.rglob("*") if path.is_file()}


@pytest.fixture
def runs(tmp_path):
    """Three runs of several files, written 1, 2 and 3 days ago."""
    for days in (1, 2, 3):
        with mb.Run(tmp_path / f"day-{days}", max_file_bytes=8000) as run:
            for step in range(40):
                run.log({"x": float(step)}, step)
                run.histogram("h", np.arange(200.0) * step, step)
        for file in (tmp_path / f"day-{days}").iterdir():
            os.utime(file, (time.time() - days * 86400,) * 2)
    return tmp_path


def test_compact_leaves_one_file_of_each_run(runs):
    before = files(runs)
    said = command("compact", runs, "--dry-run")
    assert files(runs) == before
    assert "3 of 3 runs would change: " in said.stdout
    done = command("compact", runs)
    assert done.exit_code == 0, done.output
    assert done.stdout.count(" to one of ") == 3
    assert len(files(runs)) == 3
    assert [len(run.scalars["x"]) for run in mb.read(runs).values()] == [40, 40, 40]
    assert "0 of 3 runs changed: 0 B freed" in command("compact", runs).stdout


def test_a_run_that_is_written_is_left_alone_and_named(runs):
    with mb.Run(runs / "live") as run:
        run.log({"x": 1.0}, 0)
        run.flush()
        done = command("compact", runs, "--idle", "0s", "--match", "live", "--match", "day-1")
    assert "is being written" in done.stdout
    assert "1 of 2 runs changed, 1 left alone" in done.stdout
    assert len(list((runs / "day-2").iterdir())) > 1


def test_prune_thins_histograms_only_with_yes(runs):
    before = files(runs)
    said = command("prune", runs / "day-1", runs / "day-2", runs / "day-3", "--match", "day-[12]", "--histograms", "5")
    assert files(runs) == before
    assert said.stdout.endswith("Nothing was changed; --yes does it.\n")
    done = command("prune", runs / "day-1", runs / "day-2", "--histograms", "5", "--yes")
    assert done.exit_code == 0, done.output
    assert done.stdout.count("35 points less") == 2
    found = mb.read(runs)
    assert [len(found[f"day-{days}"].histograms["h"]) for days in (1, 2, 3)] == [5, 5, 40]
    assert [len(run.scalars["x"]) for run in found.values()] == [40, 40, 40]


@pytest.mark.parametrize(
    ("options", "left"),
    [
        (["--keep-last", "1"], {"day-1"}),
        (["--older-than", "60h"], {"day-1", "day-2"}),
        (["--older-than", "1h", "--match", "*-1"], {"day-2", "day-3"}),
        (["--keep-last", "2", "--older-than", "9d"], {"day-1", "day-2", "day-3"}),
    ],
)
def test_old_runs_go_only_with_yes(runs, options, left):
    before = files(runs)
    said = command("prune", runs, *options)
    assert said.stdout.count("would be deleted, ") == 3 - len(left)
    assert files(runs) == before
    done = command("prune", runs, *options, "--yes")
    assert done.exit_code == 0, done.output
    assert set(mb.read(runs)) == left
    assert done.stdout.count("): deleted, ") == 3 - len(left)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prune"], "Say what goes"),
        (["prune", "--media", "1"], "1 is not in the range"),
        (["prune", "--older-than", "soon"], "write a number and a unit, e.g. 90s, 10m, 12h, 30d or 4w"),
        (["compact", "--idle", "7"], "write a number and a unit"),
    ],
)
def test_a_wrong_argument_is_one_sentence(tmp_path, arguments, message):
    done = command(arguments[0], tmp_path, *arguments[1:])
    assert done.exit_code == 2
    assert message in done.output


def test_a_directory_without_event_files_is_one_sentence(tmp_path):
    done = command("compact", tmp_path)
    assert done.exit_code == 1
    assert "holds no event files" in done.output


def test_a_run_that_cannot_be_changed_does_not_keep_the_others(runs, monkeypatch):
    unlink = Path.unlink

    def refuse(path, missing_ok=False):
        if path.parent.name == "day-2":
            raise PermissionError(13, "Permission denied", str(path))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    done = command("prune", runs, "--older-than", "1h", "--yes")
    assert done.exit_code == 0
    assert set(mb.read(runs)) == {"day-2"}
    assert "left alone: [Errno 13] Permission denied" in done.output
    assert "2 of 3 runs changed, 1 left alone" in done.output

"""`multiboard inspect` shows many runs as a line each, the tags of one, and all of it as JSON."""

import json

import pytest
from click.testing import CliRunner

import multiboard as mb
from multiboard.cli import main


def inspect(*arguments, columns=None):
    return CliRunner(env={"COLUMNS": columns}).invoke(main, ["inspect", *map(str, arguments)], catch_exceptions=False)


def cells(output):
    """Return the cells of the rows of a table by the first of them."""
    rows = [[cell.strip() for cell in line.strip("│\n").split("│")] for line in output.splitlines() if line.startswith("│")]
    return {row[0]: row[1:] for row in rows}


@pytest.fixture
def runs(tmp_path):
    for name, steps in (("sweep/a", 3), ("sweep/b", 5), ("last", 7)):
        with mb.Run(tmp_path / name) as run:
            for step in range(steps):
                run.log({"train/loss": 1.0, "val/loss": 1.0}, step)
                run.histogram("params/kernel", [1.0], step)
            if name == "last":
                run.text("note", "text", 99)
    return tmp_path


def test_many_runs_are_a_line_each(runs):
    (file,) = (runs / "sweep" / "b").iterdir()
    file.write_bytes(file.read_bytes()[:-3])
    with mb.Run(runs / "live") as run:
        run.log({"x": 1.0}, 0)
        run.flush()
        done = inspect(runs)
    assert done.exit_code == 0, done.output
    found = cells(done.stdout)
    assert set(found) == {"last", "live", "sweep/a", "sweep/b"}
    files, size, scalars, histograms, texts, first, last, written, state = found["last"]
    assert (files, scalars, histograms, texts, first, last, state) == ("1", "2", "1", "1", "0", "99", "")
    assert size.endswith(" kB")
    assert written.endswith(" s ago")
    assert found["sweep/a"][4] == "-"
    assert found["sweep/b"][-1] == "1 damaged"
    assert found["live"][-1] == "live"
    assert "4 runs, 4 event files, " in done.stdout
    assert f"sweep/b/{file.name}: damaged at byte" in done.stdout


def test_runs_and_tags_are_chosen_by_pattern(runs):
    assert set(cells(inspect(runs, "--runs", "sweep/*").stdout)) == {"sweep/a", "sweep/b"}
    tags = inspect(runs, "--runs", "sweep/*", "--tags", "*/loss").stdout
    assert tags.count("train/loss") == tags.count("val/loss") == 2
    assert "params/kernel" not in tags
    one = inspect(runs, "--runs", "last").stdout
    assert [tag for tag in ("train/loss", "val/loss", "params/kernel", "note") if tag not in one] == []


def test_a_pattern_without_a_run_is_one_sentence(runs):
    done = inspect(runs, "--runs", "nothing", "--runs", "none")
    assert done.exit_code == 1
    assert done.output == f"Error: no run below {runs} matches nothing or none.\n"


def test_json_holds_every_tag(runs):
    found = json.loads(inspect(runs, "--json").stdout)
    assert set(found) == {"last", "sweep/a", "sweep/b"}
    tags = {(tag["kind"], tag["tag"]): tag for tag in found["sweep/b"]["tags"]}
    assert tags["histograms", "params/kernel"]["points"] == 5
    assert tags["scalars", "val/loss"]["last_step"] == 4
    assert found["last"]["damage"] == {}
    assert found["last"]["size"] == sum(found["last"]["files"].values())


def test_a_file_that_cannot_be_read_is_one_sentence(runs, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    done = inspect(runs)
    assert done.exit_code == 1
    assert "Error: [Errno 13] Permission denied: '" in done.output


def test_names_are_whole_in_a_pipe_and_in_a_narrow_terminal(tmp_path):
    name, tag = "of-" * 30, "layer/" * 20 + "kernel"
    with mb.Run(tmp_path / name) as run:
        run.log({tag: 1.0}, 0)
    assert f"│ {name} │" in inspect(tmp_path).stdout
    narrow = inspect(tmp_path, columns="60").stdout
    assert max(map(len, narrow.splitlines()[:-1])) <= 60
    rows = [line.split("│") for line in narrow.splitlines() if line.startswith("│")]
    assert "".join(row[1].strip() for row in rows) == name
    assert "".join(row[3].strip() for row in rows) == tag

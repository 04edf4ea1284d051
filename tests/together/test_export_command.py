"""`multiboard export` as a process: what it prints, what it writes, and how it ends."""

import csv
import gzip
import io
import json
import subprocess
import sys

import pytest

import multiboard as mb

COMMAND = [sys.executable, "-m", "multiboard.cli", "export"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs")
    for name, size in (("torch", 300), ("flax", 200)):
        with mb.Run(path / name) as run:
            for step in range(size):
                run.log({"train/loss": 0.1, "eval/loss": 0.25}, step)
    return path


def run_export(*arguments):
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)


def test_rows_go_to_standard_output_and_nothing_else_does(runs):
    done = run_export(runs, "--tags", "train/*")
    assert (done.returncode, done.stderr) == (0, "")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [(row["run"], row["step"], row["value"]) for row in rows[:2]] == [("flax", "0", "0.1"), ("flax", "1", "0.1")]
    assert len(rows) == 500


def test_flags_choose_the_format_and_patterns_the_rows(runs):
    done = run_export(runs, "--jsonl", "--wide", "--runs", "t*")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert rows[7] == {"run": "torch", "step": 7, "train/loss": 0.1, "eval/loss": 0.25}
    assert len(rows) == 300


def test_a_file_is_written_once_and_replaced_with_force_only(runs, tmp_path):
    out = tmp_path / "out.csv.gz"
    first = run_export(runs, "-o", out)
    assert (first.returncode, first.stdout) == (0, "")
    assert "1,000 rows" in first.stderr
    assert len(gzip.decompress(out.read_bytes()).splitlines()) == 1001
    again = run_export(runs, "-o", out, "--runs", "flax")
    assert again.returncode == 1
    assert "--force" in again.stderr
    assert run_export(runs, "-o", out, "--runs", "flax", "--force").returncode == 0
    assert len(gzip.decompress(out.read_bytes()).splitlines()) == 401
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--tags", "train/los"], 1, "Did you mean 'train/loss'"),
        (["--kind", "histograms"], 1, "hold no histograms"),
        (["-o", "out.xlsx"], 1, "end in .csv"),
        (["-o", "no/such/directory/out.csv"], 1, "No such file or directory"),
        (["--kind", "images"], 2, "'images' is not one of"),
        (["--kind", "texts", "--wide"], 2, "--wide is for scalars"),
    ],
)
def test_what_cannot_be_written_is_one_sentence_and_a_status(runs, arguments, status, message):
    done = run_export(runs, *arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_directory_without_runs_ends_with_one(tmp_path):
    done = run_export(tmp_path)
    assert done.returncode == 1
    assert "holds no event files" in done.stderr


def test_damage_is_told_beside_what_could_be_read(tmp_path):
    with mb.Run(tmp_path / "r") as run:
        for step in range(10):
            run.log({"x": 1.0}, step)
    (file,) = (tmp_path / "r").iterdir()
    file.write_bytes(file.read_bytes()[:-7])
    done = run_export(tmp_path)
    assert done.returncode == 0
    assert "damaged at 1 place;" in done.stderr
    assert 0 < len(done.stdout.splitlines()) - 1 <= 10


def test_who_reads_the_output_may_stop_early(tmp_path):
    with mb.Run(tmp_path / "r") as run:
        for step in range(20_000):
            run.log({"x": 1.0}, step)
    process = subprocess.Popen([*COMMAND, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "run,tag,step,wall_time,value\n"
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    process.wait(60)
    assert "Traceback" not in errors
    assert "Exception ignored" not in errors

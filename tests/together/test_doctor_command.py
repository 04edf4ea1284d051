"""`multiboard doctor` says what is wrong, what to do, and ends with 1 if something does not work."""

import json

from click.testing import CliRunner

import multiboard as mb
from multiboard.cli import main


def doctor(*arguments, **environment):
    runner = CliRunner(env={"COLUMNS": "250", "KERAS_BACKEND": "jax", **environment})
    return runner.invoke(main, ["doctor", *map(str, arguments)], catch_exceptions=False)


def test_a_whole_installation_is_in_order(tmp_path):
    with mb.Run(tmp_path / "one") as run:
        run.log({"x": 1.0}, 0)
    done = doctor(tmp_path)
    assert done.exit_code == 0, done.stdout
    assert "✗" not in done.stdout
    rows = [line for line in done.stdout.splitlines() if "✓" in line]
    for subject in ("multiboard.torch", "multiboard.jax", "multiboard.keras", "TensorBoard", "fast loader", "runs"):
        assert [row for row in rows if subject in row], subject


def test_what_does_not_work_has_a_remedy_and_is_the_exit_status():
    done = doctor(KERAS_BACKEND="nothing")
    assert done.exit_code == 1
    (row,) = [line for line in done.stdout.splitlines() if "✗" in line]
    assert "nothing (KERAS_BACKEND) is not installed" in row
    assert "export KERAS_BACKEND=" in row
    assert "1 wrong" in done.stdout


def test_json_holds_the_same(tmp_path):
    (tmp_path / "file").touch()
    done = doctor(tmp_path / "file", "--json")
    assert done.exit_code == 1
    wrong = [one for one in json.loads(done.stdout) if one["state"] == "wrong"]
    assert wrong == [
        {
            "area": "log dir",
            "subject": "directory",
            "state": "wrong",
            "text": f"{tmp_path / 'file'} is a file",
            "remedy": "choose another directory",
        }
    ]

"""The summaries of profiles side by side."""

import multiboard as mb
from multiboard.page.parts import Board


def test_the_numbers_and_tables_of_all_windows_come_by_run_and_step(tmp_path):
    with mb.Run(tmp_path / "a") as run:
        for step, value in ((10, 12.5), (20, 11.0)):
            run.log({"profile/step_ms": value, "profile/own": 1.0}, step)
        run.text("profile/top_ops", "| a | b |", 10)
        run.text("run/notes", "other", 0)
    with mb.Run(tmp_path / "b") as run:
        run.log({"profile/mem_peak_bytes": 2.0**20}, 10)
    part = Board(dict(mb.read(tmp_path))).part("profile")
    assert part["runs"] == [
        {
            "run": "a",
            "captures": [
                {"step": 10, "values": {"profile/step_ms": 12.5, "profile/own": 1.0}, "tables": {"Operations": "| a | b |"}},
                {"step": 20, "values": {"profile/step_ms": 11.0, "profile/own": 1.0}, "tables": {}},
            ],
        },
        {"run": "b", "captures": [{"step": 10, "values": {"profile/mem_peak_bytes": 2.0**20}, "tables": {}}]},
    ]
    assert part["labels"] == {
        "profile/step_ms": {"title": "Time of a step", "unit": "ms"},
        "profile/mem_peak_bytes": {"title": "Most memory in use", "unit": "bytes"},
        "profile/own": {"title": "own", "unit": ""},
    }


def test_tables_of_profiles_are_no_media(tmp_path):
    with mb.Run(tmp_path) as run:
        run.text("profile/top_ops", "| a | b |", 10)
    assert Board({"a": mb.read(tmp_path)["."]}).part("media") == {"tags": []}

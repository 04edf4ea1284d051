"""TensorBoard shows system metrics beside the curves, one point a step."""

import time

import pytest

import multiboard as mb

TAGS = {"system/cpu_pct", "system/process_cpu_pct", "system/memory_gb", "system/process_memory_gb", "system/disk_used_pct"}


@pytest.fixture(scope="module")
def trained(board_dir):
    """A training of twenty steps in which there were about as many readings."""
    with mb.Run(board_dir / "with_system", system=0.1) as run:
        for step in range(20):
            run.log({"train/loss": 1 / (step + 1)}, step)
            time.sleep(0.07)
    return mb.read(board_dir / "with_system")["."].scalars


def test_all_points_are_shown(board, trained):
    tags = board.wait_for(
        lambda: board.json("data/plugin/scalars/tags").get("with_system", {}), lambda found: set(found) == set(trained)
    )
    assert set(tags) >= TAGS
    for tag in TAGS:
        steps = trained[tag].step.tolist()
        assert 5 < len(steps) == len(set(steps))
        shown = board.wait_for(lambda: board.scalars("with_system", tag), lambda found: len(found) == len(steps))  # noqa: B023
        assert [step for _, step, _ in shown] == steps
        assert [value for *_, value in shown] == trained[tag].value.tolist()

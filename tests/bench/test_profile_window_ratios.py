"""A step outside of a window costs the training thread no more than a few looks at the clock, with slack for a shared machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "profile_window.py"


@pytest.fixture(scope="module")
def nanoseconds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """What the ways to name a step cost, and one look at the clock."""
    out = tmp_path_factory.mktemp("window") / "results.jsonl"
    command = [sys.executable, str(BENCHMARK), "--rounds", "30", "--out", str(out)]
    subprocess.run(command, check=True, timeout=100, stdout=subprocess.DEVNULL)
    return json.loads(out.read_text())["ns"]


@pytest.mark.parametrize(
    ("way", "looks"),
    [("with profiler.step(n)", 5), ("with profiler.waiting()", 5), ("profiler.reached(n)", 2), ("if n >= profiler.next_step", 1)],
)
def test_a_step_outside_of_a_window_costs_a_few_looks_at_the_clock(nanoseconds, way, looks):
    assert nanoseconds[way] <= looks * nanoseconds["for scale: time.perf_counter()"]

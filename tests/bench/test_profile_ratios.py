"""What a profile costs the training thread, beside a step and PyTorch's own profiler, with slack for a shared machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
OURS, TORCH = "multiboard", "torch.profiler"


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float]]:
    """The medians of a window in PyTorch by contender."""
    out = tmp_path_factory.mktemp("race") / "results.jsonl"
    command = [sys.executable, str(BENCHMARKS / "profile_torch.py"), "--rounds", "1", "--only", f"{OURS},{TORCH}"]
    subprocess.run([*command, "--out", str(out)], check=True, timeout=280)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    return {line["contender"]: line for line in lines if line.get("median")}


def test_a_step_in_a_window_takes_little_more_than_twice_its_time(window):
    assert window[OURS]["times_step"] <= 2.5


def test_the_layers_cost_little_beside_the_profiler_of_pytorch(window):
    assert window[OURS]["times_step"] <= 1.5 * window[TORCH]["times_step"]


def test_the_end_of_a_window_costs_no_more_than_a_few_times_what_it_costs_pytorch_alone(window):
    assert window[OURS]["stop_ms"] <= 5 * window[TORCH]["stop_ms"]

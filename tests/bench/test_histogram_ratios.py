"""What distributions of a model cost as a fraction of what they cost with the peers, with slack for a machine that is shared."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
OURS, TENSORBOARDX = "multiboard", "tensorboardX"

Medians = dict[str, dict[str, float]]


@pytest.fixture(scope="module")
def medians(tmp_path_factory: pytest.TempPathFactory) -> Medians:
    """The medians by contender of passes over six tensors of five million values, all read back."""
    out = tmp_path_factory.mktemp("race") / "results.jsonl"
    command = [sys.executable, str(BENCHMARKS / "histogram_pass.py"), "--rounds", "1", "--scale", "0.4", "--out", str(out)]
    command += ["--topic", "histograms: 6 tensors, 5.2M", "--only", f"{OURS},{TENSORBOARDX},floor: clone"]
    users = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}  # which only the tests set
    subprocess.run(command, check=True, timeout=250, env=users)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert not [line["left_out"] for line in lines if "left_out" in line]
    return {line["contender"]: line for line in lines if line.get("median")}


def times_less(medians: Medians, figure: str, peer: str) -> float:
    return medians[peer][figure] / medians[OURS][figure]


def test_a_pass_costs_all_threads_a_fourth_and_the_caller_an_eighth_of_what_tensorboardx_does(medians):
    assert times_less(medians, "total_cpu_ms", TENSORBOARDX) >= 4
    assert times_less(medians, "caller_ms", TENSORBOARDX) >= 8


def test_a_pass_costs_the_caller_little_more_than_one_copy(medians):
    assert medians[OURS]["caller_ms"] <= 2.5 * medians["floor: clone"]["caller_ms"] + 2


def test_a_histogram_takes_a_third_of_the_bytes(medians):
    assert medians[OURS]["bytes_per_tensor"] <= medians[TENSORBOARDX]["bytes_per_tensor"] / 3

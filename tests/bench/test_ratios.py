"""What multiboard costs as a fraction of what its peers cost in the same run, with slack for a machine that is shared.

Each race runs the scripts of `benchmarks/`, which also read back what every contender has written.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
OURS, TORCH, TENSORBOARDX = "multiboard", "torch.utils.tensorboard", "tensorboardX"

Medians = dict[str, dict[str, float]]


@pytest.fixture(scope="session")
def race(tmp_path_factory: pytest.TempPathFactory):
    """Run one race and return its medians by contender; the same race only once."""

    @cache
    def run(script: str, topic: str, scale: float, *contenders: str) -> Medians:
        out = tmp_path_factory.mktemp("race") / "results.jsonl"
        command = [sys.executable, str(BENCHMARKS / script), "--rounds", "2", "--topic", topic, "--scale", str(scale)]
        subprocess.run([*command, "--only", ",".join(contenders), "--out", str(out)], check=True, timeout=250)
        lines = [json.loads(line) for line in out.read_text().splitlines()]
        assert not [line["left_out"] for line in lines if "left_out" in line]
        return {line["contender"]: line for line in lines if line.get("median")}

    return run


def times_less(medians: Medians, figure: str, peer: str) -> float:
    return medians[peer][figure] / medians[OURS][figure]


@pytest.fixture
def single(race) -> Medians:
    return race("scalars.py", "scalars: single calls", 0.1, OURS, TORCH, TENSORBOARDX)


@pytest.fixture
def dicts(race) -> Medians:
    return race("scalars.py", "scalars: dicts of 10, built before", 0.1, OURS, TORCH)


def test_a_scalar_costs_the_caller_a_tenth_of_what_torchs_writer_does(single):
    assert times_less(single, "caller_us", TORCH) >= 10


def test_a_scalar_costs_all_threads_a_fifth_of_what_tensorboardx_does(single):
    assert times_less(single, "total_cpu_us", TENSORBOARDX) >= 5
    assert times_less(single, "total_cpu_us", TORCH) >= 3


def test_a_dict_costs_the_caller_a_fortieth_and_all_threads_a_tenth(dicts):
    assert times_less(dicts, "caller_us", TORCH) >= 40
    assert times_less(dicts, "total_cpu_us", TORCH) >= 10


def test_a_dict_takes_fewer_bytes_than_the_same_scalars_in_events_of_their_own(dicts):
    assert dicts[OURS]["bytes"] <= 0.65 * dicts[TORCH]["bytes"]


def test_scalars_on_a_device_block_a_jax_loop_a_fifth_of_what_reading_them_does(race):
    medians = race("device_scalars.py", "device scalars: 10 per step in a jitted JAX loop", 0.4, OURS, TORCH)
    assert not medians[OURS]["with_float"]
    assert times_less(medians, "block_us", TORCH) >= 5


def test_a_picture_costs_the_caller_a_twentieth_and_all_threads_half_of_what_tensorboardx_does(race):
    medians = race("images.py", "images: like photographs", 0.25, OURS, TENSORBOARDX)
    assert times_less(medians, "caller_us", TENSORBOARDX) >= 20
    assert times_less(medians, "total_cpu_ms", TENSORBOARDX) >= 2


def test_the_first_record_costs_a_quarter_of_the_time_and_a_tenth_of_the_memory_of_tensorboardx(race):
    medians = race("startup.py", "start-up: over NumPy", 1.0, OURS, TENSORBOARDX)
    assert times_less(medians, "cpu_ms", TENSORBOARDX) >= 4
    assert times_less(medians, "memory_mb", TENSORBOARDX) >= 10

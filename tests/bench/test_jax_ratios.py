"""What logging costs in JAX as a fraction of a peer or of a bare step, with slack for a machine that is shared."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
OURS, TENSORBOARDX = "multiboard", "tensorboardX"

Medians = dict[str, dict[str, float]]


@pytest.fixture(scope="module")
def race(tmp_path_factory: pytest.TempPathFactory):
    """A function that runs one race and returns its medians by contender; all was read back or compared before."""

    def run(script: str, topic: str, scale: float, *contenders: str) -> Medians:
        out = tmp_path_factory.mktemp("race") / "results.jsonl"
        command = [sys.executable, str(BENCHMARKS / script), "--rounds", "1", "--topic", topic, "--scale", str(scale)]
        subprocess.run([*command, "--only", ",".join(contenders), "--out", str(out)], check=True, timeout=280)
        lines = [json.loads(line) for line in out.read_text().splitlines()]
        assert not [line["left_out"] for line in lines if "left_out" in line]
        return {line["contender"]: line for line in lines if line.get("median")}

    return run


def test_a_pass_costs_all_threads_a_fourth_and_the_caller_an_eighth_of_what_tensorboardx_does(race):
    medians = race("jax_pass.py", "histograms in JAX: 6 tensors, 5.2M", 0.4, OURS, TENSORBOARDX)
    assert medians[TENSORBOARDX]["total_cpu_ms"] >= 4 * medians[OURS]["total_cpu_ms"]
    assert medians[TENSORBOARDX]["caller_ms"] >= 8 * medians[OURS]["caller_ms"]
    assert medians[OURS]["bytes_per_tensor"] <= medians[TENSORBOARDX]["bytes_per_tensor"] / 3


def test_a_step_between_captures_is_the_bare_program_and_its_call_costs_little_more(race):
    medians = race("jax_capture.py", "wrapped steps in JAX: 2 tensors of 272 values", 0.1, "metrics=False", "params + grads")
    assert all(line["jaxpr_equal"] for line in medians.values())
    assert medians["metrics=False"]["over_bare_us"] <= 0.5 * medians["metrics=False"]["bare_us"]
    assert medians["params + grads"]["over_bare_us"] <= 1.5 * medians["params + grads"]["bare_us"]


def test_a_loop_with_ten_scalars_per_step_and_histograms_loses_less_than_a_fifth(race):
    topic = "training loop: perceptron in JAX, 10 scalars per step, histograms every 50"
    medians = race("jax_loop.py", topic, 0.25, OURS, "empty call")
    assert medians[OURS]["all_threads_percent"] <= 20 + max(0, medians["empty call"]["all_threads_percent"])

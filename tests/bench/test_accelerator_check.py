"""The check of an accelerator, run on a CPU: what it finds, what it leaves out, and that it fails when something is wrong."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

CHECK = Path(__file__).parents[2] / "benchmarks" / "gpu_check.py"


def run_check(*arguments: str, before: str = "pass") -> subprocess.CompletedProcess[str]:
    """Run the check in a process that executes `before` first."""
    start = f"import runpy, sys; sys.argv = {[str(CHECK), *arguments]!r}; sys.path.insert(0, {str(CHECK.parent)!r}); {before}"
    command = [sys.executable, "-c", f"{start}; runpy.run_path({str(CHECK)!r}, run_name='__main__')"]
    return subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)


def good_rows(done: subprocess.CompletedProcess[str], start: str) -> int:
    """Return how many rows of the report begin so and are good."""
    return sum(line.startswith(f"| {start}") and line.endswith("| ok |") for line in done.stdout.splitlines())


def test_it_passes_on_a_cpu_without_pytorch():
    sections = "counts,jax_syncs,jax_counts"
    done = run_check("--device", "cpu", "--small", "--only", sections, before="sys.modules['torch'] = None")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| counts | left out: torch not installed |" in done.stdout
    assert good_rows(done, "JAX, calls of the host") == 3
    assert good_rows(done, "JAX, counts equal") == 5


def test_it_measures_what_steps_in_jax_cost_on_a_cpu():
    done = run_check("--device", "cpu", "--small", "--only", "jax_costs")
    assert done.returncode == 0, done.stdout + done.stderr
    assert good_rows(done, "JAX, bytes fetched") == 1


def test_it_tells_that_measured_steps_train_to_the_same_losses():
    done = run_check("--device", "cpu", "--small", "--only", "jax_bits")
    assert done.returncode == 0, done.stdout + done.stderr
    assert good_rows(done, "JAX, losses") == 2


def test_it_finds_counts_in_jax_that_are_not_those_of_the_host():
    breaking = "import multiboard.buckets as b; old = b.measure; b.measure = lambda values: old(values[1:])"
    done = run_check("--device", "cpu", "--small", "--only", "jax_counts", before=breaking)
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout.count("**failed**") == 5


def test_it_goes_on_without_jax():
    done = run_check("--device", "cpu", "--small", "--only", "jax_counts,memory", before="sys.modules['jax'] = None")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| jax_counts | left out: jax not installed |" in done.stdout
    assert "| device memory |" in done.stdout


def test_it_checks_each_framework_in_a_process_of_its_own():
    counting = "import subprocess as s; run = s.run; s.run = lambda *a, **k: print('| a process |', flush=True) or run(*a, **k)"
    done = run_check("--device", "cpu", "--small", "--only", "memory,jax_counts", before=counting)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split("|")[1].strip() for line in done.stdout.splitlines() if line.startswith("| ")]
    assert rows[1:5] == ["a process", "**torch**", "device memory", "a process"]
    assert good_rows(done, "JAX, counts equal") == 5


@pytest.mark.skipif(find_spec("keras") is None, reason="Keras is not installed")
def test_it_tells_that_a_fit_in_keras_with_the_callback_ends_with_the_same_weights():
    done = run_check("--device", "cpu", "--small", "--only", "keras_jax_bits")
    assert done.returncode == 0, done.stdout + done.stderr
    assert good_rows(done, "Keras on jax, weights") == 1


def test_it_names_a_section_that_it_does_not_know():
    done = run_check("--only", "jax_sync")
    assert done.returncode == 2
    assert "no section jax_sync; there are syncs, counts" in done.stderr


def test_it_passes_on_a_cpu_as_far_as_it_goes():
    done = run_check("--device", "cpu", "--small", "--only", "syncs,counts,time,traffic,memory")
    assert done.returncode == 0, done.stdout + done.stderr
    assert good_rows(done, "counts equal") == 3
    assert "left out: only CUDA" in done.stdout


def test_it_fails_for_a_section_that_breaks_and_goes_on_with_the_next():
    breaking = "import torch; torch.bincount = None"
    done = run_check("--device", "cpu", "--small", "--only", "counts,memory", before=breaking)
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout.count("**failed**") == 3
    assert "| device memory |" in done.stdout


def test_it_says_that_there_is_none():
    done = run_check()
    assert done.returncode == 2
    assert "no CUDA device" in done.stdout

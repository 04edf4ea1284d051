"""A training that is split over devices and processes is logged exactly and stays as it is."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import multiboard as mb
from multiboard.buckets import measure
from multiboard.dashboard import free_port

PROGRAM = Path(__file__).parent / "programs" / "training.py"
SETTINGS = [("data", 1), ("fsdp", 1), ("tensor", 1), ("data", 2), ("fsdp", 2)]
PATHS = ["params/bias", "params/kernel", "grads/bias", "grads/kernel", "updates/bias", "updates/kernel", "activations/outputs"]


@pytest.fixture(scope="module", params=SETTINGS, ids=lambda setting: f"{setting[0]}-on-{setting[1]}")
def trained(request, tmp_path_factory):
    """What the processes of one training printed, and what was written."""
    split, count = request.param
    log_dir = tmp_path_factory.mktemp("logs")
    commands = [[sys.executable, str(PROGRAM), str(log_dir), split]]
    if count == 2:
        address = f"127.0.0.1:{free_port()}"
        commands = [[*commands[0], address, str(number)] for number in range(2)]
    return run_together(commands, 4 // count), mb.read(log_dir)


@pytest.fixture(scope="module")
def program():
    spec = importlib.util.spec_from_file_location("training_program", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_together(commands, devices):
    """Run processes at the same time and return what each printed."""
    flags = f"--xla_force_host_platform_device_count={devices}"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, env=environment, **pipes) for command in commands]
    try:
        outputs = [process.communicate(timeout=240) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert all(process.returncode == 0 for process in processes), [errors[-2000:] for _, errors in outputs]
    return [json.loads(output.splitlines()[-1]) for output, _ in outputs]  # Gloo prints, too


def history(program):
    """Parameters, gradients, updates and outputs of each step of the exact training, from NumPy."""
    params, factors = program.start(), np.arange(96, dtype=np.float32) / 1024
    for i in range(3):
        x = program.batch(i)
        grads = {"kernel": np.outer(x.sum(axis=0), factors), "bias": 16 * factors}
        updates = {name: np.float32(-0.25) * grad for name, grad in grads.items()}
        yield {
            "params": params,
            "grads": grads,
            "updates": updates,
            "activations": {"outputs": x @ params["kernel"] + params["bias"]},
        }
        params = {name: params[name] + updates[name] for name in params}


def test_all_that_is_split_is_written_once_and_exactly(trained, program):
    _, logs = trained
    assert list(logs) == ["."]
    columns, expected = logs["."].histograms, list(history(program))
    assert list(columns) == PATHS
    for tag, column in columns.items():
        group, name = tag.split("/")
        assert column.step.tolist() == [0, 2, 100, 102]
        for step, rows in zip(column.step[:2], column.value[:2], strict=True):
            np.testing.assert_array_equal(rows, measure(expected[step][group][name]).rows())


def test_weights_losses_and_shardings_are_the_same_as_without(trained):
    for report in trained[0]:
        assert report["devices"] == 4
        assert [training["same"] for training in report["trainings"]] == [True, True]
        assert [training["same_shardings"] for training in report["trainings"]] == [True, True]


def test_nothing_more_is_gathered_than_without_but_what_leads_to_a_value_inside_which_is_computed_again(trained):
    for report in trained[0]:
        for training in report["trainings"]:
            plain, untagged, tagged = training["gathers"]
            assert untagged <= plain
            assert tagged <= 2 * plain

"""The sharded transformer example learns on four devices, and a run that was killed goes on as if nothing had happened."""

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import numpy as np
import pytest

import multiboard as mb
from multiboard.clean_copy import repair

EXAMPLE = Path(__file__).parents[2] / "examples" / "jax_sharded_transformer.py"
MODEL = "--layers 1 --width 32 --heads 2 --context 16 --batch-size 4"
PACE = "--decay-steps 60 --warmup 5 --watch-every 5 --val-every 30 --checkpoint-every 20"
OF_THE_MACHINE = ("perf/", "system/", "multiboard/")
"""Beginnings of the tags whose values no two runs share."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A function that makes the environment of a run on so many devices; what one run has compiled the next one finds."""
    cache = str(tmp_path_factory.mktemp("compiled"))
    compiling = {"JAX_COMPILATION_CACHE_DIR": cache, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}

    def on(devices):
        flags = f"--xla_force_host_platform_device_count={devices}"
        here = {"JAX_PLATFORMS": "cpu", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1", "XLA_FLAGS": flags}
        return os.environ | compiling | here

    return on


def command(log_dir, arguments):
    return [sys.executable, str(EXAMPLE), "--log-dir", str(log_dir), *f"{MODEL} {PACE} {arguments}".split()]


def run_example(log_dir, arguments, environment):
    return subprocess.run(command(log_dir, arguments), env=environment, capture_output=True, text=True, timeout=280, check=False)


def train(log_dir, arguments, environment):
    """Run the example to its end and return what it prints."""
    done = run_example(log_dir, arguments, environment)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


def kill_after_step_29(log_dir, environment):
    """Kill it behind step 29, of which it writes an endless sample; the checkpoint knows the steps up to 19."""
    output = log_dir.with_suffix(".output")
    with output.open("w") as opened:
        endless = command(log_dir, "--steps 60 --sample-length 10000000")
        process = subprocess.Popen(endless, env=environment, stdout=opened, stderr=opened)
    try:
        until = time.monotonic() + 250
        while 29 not in logged_steps(log_dir):
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < until, output.read_text()
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def logged_steps(log_dir):
    runs = mb.read(log_dir) if log_dir.exists() else {}
    return runs["."].scalars["train/loss"].step.tolist() if "." in runs and "train/loss" in runs["."].scalars else []


def read_as_drawn(log_dir):
    """Read a run without the points that were written again later, which TensorBoard does not draw."""
    copy = repair(log_dir, log_dir.with_name("drawn")).runs["."].copy
    drawn = mb.read(copy.parent if copy else log_dir)["."]
    if copy:
        shutil.rmtree(copy.parent)
    return drawn


def checkpoint_of(log_dir):
    with np.load(log_dir / "checkpoint.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, environment):
    """The directory of a run of 60 steps."""
    log_dir = tmp_path_factory.mktemp("whole") / "run"
    assert train(log_dir, "--steps 60 --sample-length 20", environment(4)).splitlines()[-1] == f"tensorboard --logdir {log_dir}"
    return log_dir


@pytest.fixture(scope="module")
def resumed(tmp_path_factory, environment):
    """The directory of a run of 60 steps that was killed and resumed."""
    log_dir = tmp_path_factory.mktemp("resumed") / "run"
    kill_after_step_29(log_dir, environment(4))
    assert (int(checkpoint_of(log_dir)["step"]), logged_steps(log_dir)[-1]) == (20, 29)
    printed = train(log_dir, "--steps 60 --sample-length 20 --resume", environment(4))
    assert printed.startswith("resumed at step 20, 10 steps behind the end of the log")
    return log_dir


def test_it_learns_and_logs_every_kind(whole):
    data = mb.read(whole)["."]
    loss = data.scalars["train/loss"]
    assert loss.step.tolist() == list(range(60))
    assert loss.value[-10:].mean() < loss.value[:10].mean() - 1
    np.testing.assert_allclose(data.scalars["train/perplexity"].value, np.exp(loss.value), rtol=1e-5)
    assert data.scalars["val/loss"].step.tolist() == [29, 59]
    assert data.scalars["val/loss"].value[-1] < data.scalars["val/loss"].value[0]
    captured = list(range(0, 60, 5))
    for tag in (
        "params/tokens/embedding",
        "grads/blocks/0/mlp/up/kernel",
        "updates/norm/scale",
        "activations/blocks/0/attention",
    ):
        assert data.histograms[tag].step.tolist() == captured, tag
        assert data.scalars[f"norm/{tag}"].step.tolist() == captured, tag
    assert data.scalars["update_ratio/head/kernel"].step.tolist() == captured
    assert data.scalars["train/learning_rate"].step.tolist() == captured
    assert data.scalars["perf/step_ms"].step[-1] == 59
    assert not [tag for tag in data.scalars if tag.startswith("multiboard/")]


def test_each_of_four_devices_counts_what_it_holds_once(whole):
    sizes = {tag: {int(rows[:, 2].sum()) for rows in column.value} for tag, column in mb.read(whole)["."].histograms.items()}
    assert sizes["params/blocks/0/attention/qkv/kernel"] == sizes["grads/blocks/0/attention/qkv/kernel"] == {32 * 96}
    assert sizes["updates/norm/bias"] == {32}
    assert sizes["activations/blocks/0/mlp"] == {4 * 16 * 32}


def test_samples_go_on_from_the_beginning_of_a_module_that_was_not_trained_on(whole):
    samples = mb.read(whole)["."].texts["val/sample"]
    prompt = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))[9].read_bytes()[:16].decode()
    text = [re.sub("^    ", "", value, flags=re.MULTILINE) for value in samples.value]
    assert all(one.startswith(prompt) and len(one) > len(prompt) for one in text)
    assert text[0] != text[1]


def test_a_checkpoint_is_not_overwritten_by_a_run_that_does_not_resume(whole, environment):
    before = (whole / "checkpoint.npz").read_bytes()
    refused = run_example(whole, "--steps 60", environment(4))
    assert refused.returncode == 1
    assert "pass --resume" in refused.stderr
    assert (whole / "checkpoint.npz").read_bytes() == before


def test_a_resumed_run_ends_with_the_weights_of_a_whole_run(whole, resumed):
    expected, found = checkpoint_of(whole), checkpoint_of(resumed)
    assert set(found) == set(expected)
    assert found["step"] == 60
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, name)


def test_a_resumed_run_has_the_scalars_of_a_whole_run_at_every_step(whole, resumed):
    expected, found = (
        {tag: line for tag, line in read_as_drawn(log_dir).scalars.items() if not tag.startswith(OF_THE_MACHINE)}
        for log_dir in (whole, resumed)
    )
    assert set(found) == set(expected)
    for tag, line in expected.items():
        assert found[tag].step.tolist() == line.step.tolist(), tag
        np.testing.assert_array_equal(found[tag].value, line.value, tag)


def test_a_resumed_run_has_the_histograms_and_samples_of_a_whole_run(whole, resumed):
    expected, found = read_as_drawn(whole), read_as_drawn(resumed)
    assert set(found.histograms) == set(expected.histograms)
    for tag, histogram in expected.histograms.items():
        assert found.histograms[tag].step.tolist() == histogram.step.tolist(), tag
        for ours, theirs in zip(found.histograms[tag].value, histogram.value, strict=True):
            np.testing.assert_array_equal(ours, theirs, tag)
    assert found.texts["val/sample"].step.tolist() == [29, 59]
    assert list(found.texts["val/sample"].value) == list(expected.texts["val/sample"].value)


def test_no_line_of_a_resumed_run_goes_back_also_no_step_time(resumed):
    lines = read_as_drawn(resumed).scalars
    assert lines["perf/step_ms"].step[-1] == 59
    for tag, line in lines.items():
        assert (np.diff(line.step) > 0).all(), tag


def test_on_one_device_it_takes_the_same_course(whole, log_dir, environment):
    train(log_dir, "--steps 20 --sample-length 5", environment(1))
    expected, found = mb.read(whole)["."], mb.read(log_dir)["."]
    np.testing.assert_allclose(found.scalars["train/loss"].value, expected.scalars["train/loss"].value[:20], rtol=1e-3)
    assert set(found.histograms) == set(expected.histograms)

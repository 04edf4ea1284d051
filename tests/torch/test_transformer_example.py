"""The transformer example learns, and a run that was stopped or killed goes on as if nothing had happened."""

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
import torch

import multiboard as mb
from multiboard.clean_copy import repair

EXAMPLE = Path(__file__).parents[2] / "examples" / "pytorch_transformer.py"
MODEL = "--layers 1 --width 32 --heads 2 --context 16 --dropout 0.1 --batch-size 4 --accumulate 2"
PACE = "--decay-steps 60 --warmup 5 --watch-every 5 --val-every 30 --checkpoint-every 20"
OF_THE_MACHINE = ("perf/", "system/", "multiboard/")
"""Beginnings of the tags whose values no two runs share."""


def command(log_dir, arguments):
    return [sys.executable, str(EXAMPLE), "--log-dir", str(log_dir), *f"{MODEL} {PACE} {arguments}".split()]


def run_example(log_dir, arguments):
    return subprocess.run(command(log_dir, arguments), capture_output=True, text=True, timeout=200, check=False)


def train(log_dir, arguments):
    """Run the example to its end and return what it prints."""
    done = run_example(log_dir, arguments)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


def read_as_drawn(log_dir):
    """Read a run without the points that were written again later, which TensorBoard does not draw."""
    copy = repair(log_dir, log_dir.with_name("drawn")).runs["."].copy
    drawn = mb.read(copy.parent if copy else log_dir)["."]
    if copy:
        shutil.rmtree(copy.parent)
    return drawn


def logged_steps(log_dir):
    runs = mb.read(log_dir) if log_dir.exists() else {}
    return runs["."].scalars["train/loss"].step.tolist() if "." in runs and "train/loss" in runs["."].scalars else []


def train_until_killed(log_dir, is_time, arguments):
    """Start the example and kill it as soon as `is_time()`."""
    output = log_dir.with_suffix(".output")
    with output.open("w") as opened:
        process = subprocess.Popen(command(log_dir, arguments), stdout=opened, stderr=opened)
    try:
        until = time.monotonic() + 200
        while not is_time():
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < until, output.read_text()
            time.sleep(0.005)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def stop(log_dir):
    train(log_dir, "--steps 30 --sample-length 20")


def kill_between_checkpoints(log_dir):
    """Kill it behind step 29, of which it writes an endless sample; the checkpoint knows the steps up to 19."""
    train_until_killed(log_dir, lambda: 29 in logged_steps(log_dir), "--steps 60 --sample-length 10000000")


def kill_at_a_checkpoint(log_dir):
    train_until_killed(log_dir, (log_dir / "checkpoint.pt").exists, "--steps 60 --sample-length 20")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The directory of a run of 60 steps."""
    log_dir = tmp_path_factory.mktemp("whole") / "run"
    assert train(log_dir, "--steps 60 --sample-length 20").splitlines()[-1] == f"tensorboard --logdir {log_dir}"
    return log_dir


@pytest.fixture(scope="module", params=[stop, kill_between_checkpoints, kill_at_a_checkpoint])
def resumed(request, tmp_path_factory):
    """The directory of a run of 60 steps that was interrupted and resumed."""
    log_dir = tmp_path_factory.mktemp("resumed") / "run"
    request.param(log_dir)
    checkpoint, last = torch.load(log_dir / "checkpoint.pt", weights_only=True), logged_steps(log_dir)[-1]
    if request.param is kill_between_checkpoints:
        assert (checkpoint["step"], last) == (20, 29)
    assert last >= checkpoint["step"] - 1
    printed = train(log_dir, "--steps 60 --sample-length 20 --resume")
    behind = last + 1 - checkpoint["step"]
    assert printed.startswith(f"resumed at step {checkpoint['step']}, {behind} steps behind the end of the log")
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
    assert data.scalars["train/learning_rate"].step.tolist() == captured
    assert data.scalars["perf/step_ms"].step.tolist() == [10, 20, 30, 40, 50, 59]


def test_samples_go_on_from_the_beginning_of_a_module_that_was_not_trained_on(whole):
    samples = mb.read(whole)["."].texts["val/sample"]
    prompt = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))[9].read_bytes()[:16].decode()
    text = [re.sub("^    ", "", value, flags=re.MULTILINE) for value in samples.value]
    assert all(one.startswith(prompt) and len(one) > len(prompt) for one in text)
    assert text[0] != text[1]


def test_a_checkpoint_is_not_overwritten_by_a_run_that_does_not_resume(whole):
    before = (whole / "checkpoint.pt").read_bytes()
    refused = run_example(whole, "--steps 60")
    assert refused.returncode == 1
    assert "pass --resume" in refused.stderr
    assert (whole / "checkpoint.pt").read_bytes() == before


def test_a_resumed_run_ends_with_the_weights_of_a_whole_run(whole, resumed):
    expected, found = (torch.load(log_dir / "checkpoint.pt", weights_only=True) for log_dir in (whole, resumed))
    assert found["step"] == expected["step"] == 60
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


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


@pytest.mark.slow
def test_compiled_in_bfloat16_it_takes_the_same_course_and_captures_the_same_steps(whole, log_dir):
    train(log_dir, "--steps 20 --sample-length 5 --compile aot_eager --amp")
    expected, found = mb.read(whole)["."], mb.read(log_dir)["."]
    loss = found.scalars["train/loss"].value
    np.testing.assert_allclose(loss, expected.scalars["train/loss"].value[:20], rtol=0.05)
    assert not np.array_equal(loss, expected.scalars["train/loss"].value[:20])
    assert set(found.histograms) == set(expected.histograms)
    for tag, histogram in found.histograms.items():
        assert histogram.step.tolist() == [0, 5, 10, 15], tag
        sizes = [[int(rows[:, 2].sum()) for rows in data.histograms[tag].value[:4]] for data in (found, expected)]
        assert sizes[0] == sizes[1], tag

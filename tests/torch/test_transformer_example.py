"""The transformer example learns, and a run that was stopped or killed goes on as if nothing had happened."""

import numpy as np
import pytest
import torch

import multiboard as mb

MODEL = "--layers 1 --width 32 --heads 2 --context 16 --dropout 0.1 --batch-size 4 --accumulate 2"
PACE = "--decay-steps 60 --warmup 5 --watch-every 5 --val-every 30 --checkpoint-every 20"


@pytest.fixture(scope="module")
def example(transformer):
    return transformer("pytorch_transformer.py", f"{MODEL} {PACE}", seconds=200)


def checkpoint_of(log_dir):
    return torch.load(log_dir / "checkpoint.pt", weights_only=True)


def stop(example, log_dir):
    example.train(log_dir, "--steps 30 --sample-length 20")


def kill_between_checkpoints(example, log_dir):
    example.kill_between_checkpoints(log_dir)


def kill_at_a_checkpoint(example, log_dir):
    example.train_until_killed(log_dir, (log_dir / "checkpoint.pt").exists, "--steps 60 --sample-length 20")


@pytest.fixture(scope="module")
def whole(tmp_path_factory, example):
    """The directory of a run of 60 steps."""
    log_dir = tmp_path_factory.mktemp("whole") / "run"
    assert example.train(log_dir, "--steps 60 --sample-length 20").splitlines()[-1] == f"tensorboard --logdir {log_dir}"
    return log_dir


@pytest.fixture(scope="module", params=[stop, kill_between_checkpoints, kill_at_a_checkpoint])
def resumed(request, tmp_path_factory, example):
    """The directory of a run of 60 steps that was interrupted and resumed."""
    log_dir = tmp_path_factory.mktemp("resumed") / "run"
    request.param(example, log_dir)
    checkpoint, last = checkpoint_of(log_dir), example.logged_steps(log_dir)[-1]
    if request.param is kill_between_checkpoints:
        assert (checkpoint["step"], last) == (20, 29)
    assert last >= checkpoint["step"] - 1
    printed = example.train(log_dir, "--steps 60 --sample-length 20 --resume")
    behind = last + 1 - checkpoint["step"]
    assert printed.startswith(f"resumed at step {checkpoint['step']}, {behind} steps behind the end of the log")
    return log_dir


def test_it_learns_and_logs_every_kind(example, whole):
    data = example.assert_learned(whole)
    assert data.scalars["perf/step_ms"].step.tolist() == [10, 20, 30, 40, 50, 59]


def test_samples_go_on_from_the_beginning_of_a_module_that_was_not_trained_on(example, whole):
    example.assert_samples_go_on(whole)


def test_a_checkpoint_is_not_overwritten_by_a_run_that_does_not_resume(example, whole):
    example.assert_refuses_to_overwrite(whole, "checkpoint.pt")


def test_a_resumed_run_ends_with_the_weights_of_a_whole_run(whole, resumed):
    expected, found = map(checkpoint_of, (whole, resumed))
    assert found["step"] == expected["step"] == 60
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_a_resumed_run_has_the_scalars_of_a_whole_run_at_every_step(example, whole, resumed):
    example.assert_same_scalars(whole, resumed)


def test_a_resumed_run_has_the_histograms_and_samples_of_a_whole_run(example, whole, resumed):
    example.assert_same_histograms_and_samples(whole, resumed)


def test_no_line_of_a_resumed_run_goes_back_also_no_step_time(example, resumed):
    example.assert_no_line_goes_back(resumed)


@pytest.mark.slow
def test_compiled_in_bfloat16_it_takes_the_same_course_and_captures_the_same_steps(example, whole, log_dir):
    example.train(log_dir, "--steps 20 --sample-length 5 --compile aot_eager --amp")
    expected, found = mb.read(whole)["."], mb.read(log_dir)["."]
    loss = found.scalars["train/loss"].value
    np.testing.assert_allclose(loss, expected.scalars["train/loss"].value[:20], rtol=0.05)
    assert not np.array_equal(loss, expected.scalars["train/loss"].value[:20])
    assert set(found.histograms) == set(expected.histograms)
    for tag, histogram in found.histograms.items():
        assert histogram.step.tolist() == [0, 5, 10, 15], tag
        sizes = [[int(rows[:, 2].sum()) for rows in data.histograms[tag].value[:4]] for data in (found, expected)]
        assert sizes[0] == sizes[1], tag

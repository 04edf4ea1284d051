"""The sharded transformer example learns on four devices, and a run that was killed goes on as if nothing had happened."""

import os

import numpy as np
import pytest

import multiboard as mb

MODEL = "--layers 1 --width 32 --heads 2 --context 16 --batch-size 4"
PACE = "--decay-steps 60 --warmup 5 --watch-every 5 --val-every 30 --checkpoint-every 20"


@pytest.fixture(scope="module")
def example_on(transformer, tmp_path_factory):
    """A function that returns the example on so many devices; what one run has compiled the next one finds."""
    cache = str(tmp_path_factory.mktemp("compiled"))
    compiling = {"JAX_COMPILATION_CACHE_DIR": cache, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}

    def on(devices):
        flags = f"--xla_force_host_platform_device_count={devices}"
        here = {"JAX_PLATFORMS": "cpu", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1", "XLA_FLAGS": flags}
        return transformer(
            "jax_sharded_transformer.py", f"{MODEL} {PACE}", seconds=250, environment=os.environ | compiling | here
        )

    return on


@pytest.fixture(scope="module")
def example(example_on):
    return example_on(4)


def checkpoint_of(log_dir):
    with np.load(log_dir / "checkpoint.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, example):
    """The directory of a run of 60 steps."""
    log_dir = tmp_path_factory.mktemp("whole") / "run"
    assert example.train(log_dir, "--steps 60 --sample-length 20").splitlines()[-1] == f"tensorboard --logdir {log_dir}"
    return log_dir


@pytest.fixture(scope="module")
def resumed(tmp_path_factory, example):
    """The directory of a run of 60 steps that was killed and resumed."""
    log_dir = tmp_path_factory.mktemp("resumed") / "run"
    example.kill_between_checkpoints(log_dir)
    assert (int(checkpoint_of(log_dir)["step"]), example.logged_steps(log_dir)[-1]) == (20, 29)
    printed = example.train(log_dir, "--steps 60 --sample-length 20 --resume")
    assert printed.startswith("resumed at step 20, 10 steps behind the end of the log")
    return log_dir


def test_it_learns_and_logs_every_kind(example, whole):
    data = example.assert_learned(whole)
    every_fifth = list(range(0, 60, 5))
    for tag in example.captured:
        assert data.scalars[f"norm/{tag}"].step.tolist() == every_fifth, tag
    assert data.scalars["update_ratio/head/kernel"].step.tolist() == every_fifth
    assert data.scalars["perf/step_ms"].step[-1] == 59
    assert not [tag for tag in data.scalars if tag.startswith("multiboard/")]


def test_each_of_four_devices_counts_what_it_holds_once(whole):
    sizes = {tag: {int(rows[:, 2].sum()) for rows in column.value} for tag, column in mb.read(whole)["."].histograms.items()}
    assert sizes["params/blocks/0/attention/qkv/kernel"] == sizes["grads/blocks/0/attention/qkv/kernel"] == {32 * 96}
    assert sizes["updates/norm/bias"] == {32}
    assert sizes["activations/blocks/0/mlp"] == {4 * 16 * 32}


def test_samples_go_on_from_the_beginning_of_a_module_that_was_not_trained_on(example, whole):
    example.assert_samples_go_on(whole)


def test_a_checkpoint_is_not_overwritten_by_a_run_that_does_not_resume(example, whole):
    example.assert_refuses_to_overwrite(whole, "checkpoint.npz")


def test_a_resumed_run_ends_with_the_weights_of_a_whole_run(whole, resumed):
    expected, found = checkpoint_of(whole), checkpoint_of(resumed)
    assert set(found) == set(expected)
    assert found["step"] == 60
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, name)


def test_a_resumed_run_has_the_scalars_of_a_whole_run_at_every_step(example, whole, resumed):
    example.assert_same_scalars(whole, resumed)


def test_a_resumed_run_has_the_histograms_and_samples_of_a_whole_run(example, whole, resumed):
    example.assert_same_histograms_and_samples(whole, resumed)


def test_no_line_of_a_resumed_run_goes_back_also_no_step_time(example, resumed):
    example.assert_no_line_goes_back(resumed)


def test_on_one_device_it_takes_the_same_course(example_on, whole, log_dir):
    example_on(1).train(log_dir, "--steps 20 --sample-length 5")
    expected, found = mb.read(whole)["."], mb.read(log_dir)["."]
    np.testing.assert_allclose(found.scalars["train/loss"].value, expected.scalars["train/loss"].value[:20], rtol=1e-3)
    assert set(found.histograms) == set(expected.histograms)

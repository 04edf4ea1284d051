"""The profiled batches, and no others, are in a session; nothing else changes."""

import contextlib
import re
import subprocess
import sys
from collections import Counter

import keras
import numpy as np
import pytest

import multiboard as mb
import multiboard.keras as mbk

BACKEND = keras.backend.backend()


@contextlib.contextmanager
def foreign_profiler(log_dir):
    """A profiler of the user, which sees all that is computed inside."""
    if BACKEND == "jax":
        import jax

        with jax.profiler.trace(str(log_dir)):
            yield
    elif BACKEND == "tensorflow":
        import tensorflow as tf

        with tf.profiler.experimental.Profile(str(log_dir)):
            yield
    else:
        import torch

        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
            yield
        assert sum(event.count for event in profiler.key_averages() if event.key == "aten::matmul") >= 7  # batches


def fit(model, vectors, callbacks, **options):
    return model.fit(*vectors, batch_size=8, shuffle=False, verbose=0, callbacks=callbacks, **options)


@pytest.mark.parametrize(("value", "steps"), [("9,10", [8, 9]), (2, [1]), ((7, 12), list(range(6, 12)))])
def test_the_session_holds_the_asked_for_batches_of_the_fit_as_global_steps(dense, vectors, tmp_path, profiled, value, steps):
    fit(dense(), vectors, [mbk.TensorBoard(tmp_path, profile_batch=value, update_freq="batch")], epochs=2)
    assert profiled(tmp_path).steps == steps
    assert [path.name for path in (tmp_path / "plugins" / "profile").iterdir()] == [f"step_{steps[0]:06}"]
    data = mb.read(tmp_path)["."]
    assert data.scalars["train/loss"].step.tolist() == list(range(14))
    assert data.scalars["profile/step_ms"].step.tolist() == [steps[0]]


def test_what_the_device_does_for_these_batches_is_in_the_trace_and_nothing_else_of_it(tmp_path, profiled):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((512,)), keras.layers.Dense(2048), keras.layers.Dense(8)])
    model.compile(keras.optimizers.SGD(1e-5), "mse")
    data = np.ones((1024, 512), "float32"), np.zeros((1024, 8), "float32")
    products = []
    for batches in ((3, 3), (2, 4)):
        log_dir = tmp_path / str(batches)
        model.fit(*data, batch_size=128, verbose=0, callbacks=[mbk.TensorBoard(log_dir, profile_batch=batches)])
        names = [event.name for event in profiled(log_dir).events]
        products.append(Counter(name for name in names if re.search(r"^dot|MatMul$|^aten::mm$", name)))
    assert products[0]
    assert products[1] == {name: 3 * number for name, number in products[0].items()}


def test_training_is_bit_identical_with_a_profile(dense, vectors, tmp_path):
    plain, traced = dense(), dense()
    histories = [fit(plain, vectors, []), fit(traced, vectors, [mbk.TensorBoard(tmp_path, profile_batch=(2, 4))])]
    assert histories[0].history == histories[1].history
    for expected, weight in zip(plain.get_weights(), traced.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_a_running_profiler_of_the_user_is_left_alone_and_the_run_says_so(dense, vectors, tmp_path):
    said = []
    with mb.Run(tmp_path, on_error=lambda _, message: said.append(message)) as run, pytest.warns(mb.MultiboardWarning):
        with foreign_profiler(tmp_path / "foreign"):
            fit(dense(), vectors, [mbk.TensorBoard(run=run, profile_batch=(2, 4))])
        run.flush()
    assert len(said) == 1
    assert re.match("there is no profile from step 1 on: .*another profile", said[0])
    assert not list(tmp_path.glob("plugins/profile/*"))
    if BACKEND != "torch":
        assert list((tmp_path / "foreign").rglob("*.xplane.pb"))


def test_of_two_windows_in_one_fit_the_second_is_reported(dense, vectors, tmp_path, profiled):
    callbacks = [mbk.TensorBoard(tmp_path / name, profile_batch=(2, 4)) for name in ("first", "second")]
    with pytest.warns(mb.MultiboardWarning, match="no profile from step 1 on: the profiler of .*first"):
        fit(dense(), vectors, callbacks)
    assert [profiled(tmp_path / name).steps for name in ("first", "second")] == [[1, 2, 3], []]


def test_a_window_behind_the_end_of_the_fit_is_reported(dense, vectors, tmp_path):
    with pytest.warns(mb.MultiboardWarning, match="there is no profile: the training ended before step 499"):
        fit(dense(), vectors, [mbk.TensorBoard(tmp_path, profile_batch="500,520")])


def test_a_window_over_the_end_of_the_fit_ends_with_it_and_is_reported(dense, vectors, tmp_path, profiled):
    with pytest.warns(mb.MultiboardWarning, match="the profile of steps 4 to 6 ended early"):
        fit(dense(), vectors, [mbk.TensorBoard(tmp_path, profile_batch=(5, 99))])
    assert profiled(tmp_path).steps == [4, 5, 6]


def test_a_fit_that_fails_inside_the_window_leaves_its_finished_steps_and_a_free_profiler(dense, vectors, tmp_path, profiled):
    class Bomb(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, **_):
            if batch == 4:
                raise RuntimeError("bomb")

    failed = mbk.TensorBoard(tmp_path / "first", profile_batch=(3, 9))
    with pytest.raises(RuntimeError, match="bomb"):
        fit(dense(), vectors, [Bomb(), failed])
    fit(dense(), vectors, [mbk.TensorBoard(tmp_path / "second", profile_batch=5)])
    failed._close_runs()
    assert profiled(tmp_path / "first").steps == [2, 3]
    assert profiled(tmp_path / "second").steps == [4]


CRASH = """
import sys
import numpy as np, keras, multiboard.keras as mbk
class Bomb(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, **_):
        if batch == 4:
            raise SystemExit(3)
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="fc")])
model.compile("sgd", loss="mse")
callback = mbk.TensorBoard(sys.argv[1], profile_batch=(3, 9))
model.fit(np.ones((32, 4)), np.ones((32, 3)), batch_size=4, verbose=0, callbacks=[Bomb(), callback])
"""


def test_a_program_that_ends_inside_the_window_leaves_its_finished_steps(tmp_path, profiled):
    done = subprocess.run([sys.executable, "-c", CRASH, tmp_path], check=False, capture_output=True, text=True, timeout=200)
    assert done.returncode == 3, done.stderr
    assert profiled(tmp_path).steps == [2, 3]


@pytest.mark.parametrize("wrong", [-1, (3, 2), (0, 4), "a", "", "1,2,3", "1.5", 2.0, True, None, (), (1, 2, 3), {"first": 1}])
def test_what_is_no_batch_and_no_pair_is_one_clear_error(wrong):
    with pytest.raises(mb.ArgumentError, match=r"'profile_batch' got .* pass 0 for no profile, the number of a batch"):
        mbk.TensorBoard(profile_batch=wrong)


@pytest.mark.parametrize("none", [0, "0", (0, 0), "0,0"])
def test_zero_profiles_nothing(dense, vectors, tmp_path, none):
    fit(dense(), vectors, [mbk.TensorBoard(tmp_path, profile_batch=none)])
    assert not (tmp_path / "plugins").exists()

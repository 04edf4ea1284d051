"""The profiled batches, and no others, are in a trace; nothing else changes."""

import contextlib
import gzip
import json
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


def traced(log_dir):
    """Yield name and numbers of each event of the traces below a directory, as what opens such traces reads them."""
    for path in log_dir.rglob("*.pt.trace.json.gz"):
        for event in json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]:
            yield event["name"], {"step_num": event["name"].partition("ProfilerStep#")[2]}
    for path in log_dir.rglob("*.xplane.pb"):
        yield from (jax_events if BACKEND == "jax" else tensorflow_events)(path)


def jax_events(path):
    import jax

    for plane in jax.profiler.ProfileData.from_file(str(path)).planes:
        for line in plane.lines:
            yield from ((event.name, dict(event.stats)) for event in line.events)


def tensorflow_events(path):
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    for plane in xplane_pb2.XSpace.FromString(path.read_bytes()).planes:
        for line in plane.lines:
            for event in line.events:
                stats = {plane.stat_metadata[stat.metadata_id].name: stat.int64_value for stat in event.stats}
                yield plane.event_metadata[event.metadata_id].name, stats


def traced_batches(log_dir):
    marks = (stats["step_num"] for name, stats in traced(log_dir) if name == "train" or name.startswith("ProfilerStep#"))
    return sorted(map(int, marks))


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


@pytest.mark.parametrize(("value", "batches"), [("9,10", [9, 10]), (2, [2]), ((7, 99), list(range(7, 15)))])
def test_the_trace_holds_the_asked_for_batches_of_the_fit(dense, vectors, tmp_path, value, batches):
    fit(dense(), vectors, [mbk.TensorBoard(tmp_path, profile_batch=value, update_freq="batch")], epochs=2)
    assert traced_batches(tmp_path) == batches
    sessions = list((tmp_path / "plugins" / "profile").iterdir())
    assert len(sessions) == 1
    assert mb.read(tmp_path)["."].scalars["train/loss"].step.tolist() == list(range(14))


def test_what_the_device_does_for_these_batches_is_in_the_trace_and_nothing_else_of_it(tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((512,)), keras.layers.Dense(2048), keras.layers.Dense(8)])
    model.compile(keras.optimizers.SGD(1e-5), "mse")
    data = np.ones((1024, 512), "float32"), np.zeros((1024, 8), "float32")
    products = []
    for batches in ((3, 3), (2, 4)):
        log_dir = tmp_path / str(batches)
        model.fit(*data, batch_size=128, verbose=0, callbacks=[mbk.TensorBoard(log_dir, profile_batch=batches)])
        products.append(Counter(name for name, _ in traced(log_dir) if re.search(r"^dot|MatMul$|^aten::mm$", name)))
    assert products[0]
    assert products[1] == {name: 3 * number for name, number in products[0].items()}


def test_training_is_bit_identical_with_a_profile(dense, vectors, tmp_path):
    plain, profiled = dense(), dense()
    histories = [fit(plain, vectors, []), fit(profiled, vectors, [mbk.TensorBoard(tmp_path, profile_batch=(2, 4))])]
    assert histories[0].history == histories[1].history
    for expected, weight in zip(plain.get_weights(), profiled.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_a_running_profiler_of_the_user_is_left_alone_and_the_run_says_so(dense, vectors, tmp_path):
    said = []
    with mb.Run(tmp_path, on_error=lambda _, message: said.append(message)) as run, pytest.warns(mb.MultiboardWarning):
        with foreign_profiler(tmp_path / "foreign"):
            fit(dense(), vectors, [mbk.TensorBoard(run=run, profile_batch=(2, 4))])
        run.flush()
    assert len(said) == 1
    assert said[0].startswith("batches 2 to 4: there is no profile: ")
    assert not (tmp_path / "plugins").exists()
    if BACKEND != "torch":
        assert list((tmp_path / "foreign").rglob("*.xplane.pb"))


@pytest.mark.skipif(BACKEND != "torch", reason="the other profilers refuse to start while one is running")
def test_a_pytorch_that_does_not_tell_whether_a_profiler_runs_is_profiled(dense, vectors, tmp_path, monkeypatch):
    import torch

    monkeypatch.delattr(torch.autograd, "_profiler_enabled")
    fit(dense(), vectors, [mbk.TensorBoard(tmp_path, profile_batch=3)])
    assert traced_batches(tmp_path) == [3]


def test_of_two_windows_in_one_fit_the_second_is_reported(dense, vectors, tmp_path):
    callbacks = [mbk.TensorBoard(tmp_path / name, profile_batch=(2, 4)) for name in ("first", "second")]
    with pytest.warns(mb.MultiboardWarning, match="batches 2 to 4: there is no profile: "):
        fit(dense(), vectors, callbacks)
    assert [traced_batches(tmp_path / name) for name in ("first", "second")] == [[2, 3, 4], []]


def test_a_window_behind_the_end_of_the_fit_is_reported(dense, vectors, tmp_path):
    with pytest.warns(mb.MultiboardWarning, match="batches 500 to 520: there is no profile, because the fit ended before"):
        fit(dense(), vectors, [mbk.TensorBoard(tmp_path, profile_batch="500,520")])


def test_a_fit_that_fails_inside_the_window_leaves_its_batches_and_a_free_profiler(dense, vectors, tmp_path):
    class Bomb(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, **_):
            if batch == 4:
                raise RuntimeError("bomb")

    failed = mbk.TensorBoard(tmp_path / "first", profile_batch=(3, 9))
    with pytest.raises(RuntimeError, match="bomb"):
        fit(dense(), vectors, [Bomb(), failed])
    fit(dense(), vectors, [mbk.TensorBoard(tmp_path / "second", profile_batch=5)])
    assert traced_batches(tmp_path / "first") == [3, 4]
    assert traced_batches(tmp_path / "second") == [5]


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


def test_a_program_that_ends_inside_the_window_leaves_its_batches(tmp_path):
    done = subprocess.run([sys.executable, "-c", CRASH, tmp_path], check=False, capture_output=True, text=True, timeout=200)
    assert done.returncode == 3, done.stderr
    assert traced_batches(tmp_path) == [3, 4]


@pytest.mark.parametrize("wrong", [-1, (3, 2), (0, 4), "a", "", "1,2,3", "1.5", 2.0, True, None, (), (1, 2, 3), {"first": 1}])
def test_what_is_no_batch_and_no_pair_is_one_clear_error(wrong):
    with pytest.raises(mb.ArgumentError, match=r"'profile_batch' got .* pass 0 for no profile, the number of a batch"):
        mbk.TensorBoard(profile_batch=wrong)


@pytest.mark.parametrize("none", [0, "0", (0, 0), "0,0"])
def test_zero_profiles_nothing(dense, vectors, tmp_path, none):
    fit(dense(), vectors, [mbk.TensorBoard(tmp_path, profile_batch=none)])
    assert not (tmp_path / "plugins").exists()

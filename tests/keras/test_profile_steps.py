"""Steps of a profile are global optimizer steps: they hold the wait for their batch, and nothing that lies between two epochs."""

import contextlib
import time

import keras
import pytest

import multiboard as mb
import multiboard.keras as mbk

PAUSE = 0.03


def fit(model, vectors, callbacks, **options):
    return model.fit(*vectors, batch_size=8, shuffle=False, verbose=0, callbacks=callbacks, **options)


def slowly(x, y, number=10**6):
    for _ in range(number):
        time.sleep(PAUSE)
        yield x[:8], y[:8]


class Slow(keras.callbacks.Callback):
    """Takes its time after every batch and every epoch."""

    def on_train_batch_end(self, *_, **__):
        time.sleep(PAUSE)

    def on_epoch_end(self, *_, **__):
        time.sleep(10 * PAUSE)


def test_a_profiler_of_the_user_is_driven_over_several_fits(dense, vectors, tmp_path, profiled):
    with mb.Run(tmp_path) as run:
        model, profiler = dense(), mb.Profiler(run, start=5, steps=3, every=6, repeat=2, warmup=0)
        for _ in range(2):
            fit(model, vectors, [mbk.TensorBoard(run=run, profiler=profiler)])
    assert profiled(tmp_path).steps == [5, 6, 11, 12, 13]
    assert mb.read(tmp_path)["."].scalars["profile/step_ms"].step.tolist() == [5, 11]


def test_a_profiler_without_a_run_writes_to_that_of_the_callback(dense, vectors, tmp_path, profiled):
    fit(dense(), vectors, [mbk.TensorBoard(tmp_path, profiler=mb.Profiler(None, start=2, steps=2, warmup=0))])
    assert profiled(tmp_path).steps == [2, 3]


def test_a_window_waits_for_steps_after_a_compilation(dense, vectors, tmp_path, profiled):
    fit(dense(), vectors, [mbk.TensorBoard(tmp_path, profiler=mb.Profiler(None, start=1, steps=2, warmup=2))])
    assert profiled(tmp_path).steps == ([2, 3] if keras.backend.backend() == "torch" else [3, 4])


def test_in_a_resumed_training_batches_count_from_its_fit_and_steps_go_on(dense, vectors, tmp_path, profiled):
    model = dense()
    fit(model, vectors, [])
    fit(model, vectors, [mbk.TensorBoard(tmp_path, profile_batch=(2, 3))])
    assert profiled(tmp_path).steps == [8, 9]


def test_accumulated_batches_are_one_step(dense, vectors, tmp_path, profiled):
    optimizer = keras.optimizers.SGD(0.5, gradient_accumulation_steps=2)
    fit(dense(optimizer), vectors, [mbk.TensorBoard(tmp_path, profile_batch=(3, 6))])
    assert profiled(tmp_path).steps == [1, 2]


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="Keras refuses steps_per_execution above 1 there")
def test_several_steps_in_one_call_are_marked_by_the_first_of_them(dense, vectors, tmp_path, profiled):
    model = dense(steps_per_execution=3)
    with pytest.warns(mb.MultiboardWarning, match="steps_per_execution=3"):
        fit(model, vectors, [mbk.TensorBoard(tmp_path, profile_batch=(5, 6), every=100)], epochs=2)
    assert profiled(tmp_path).steps == [3]


def test_what_comes_between_two_epochs_is_in_no_step(dense, vectors, tmp_path, profiled):
    callbacks = [Slow(), mbk.TensorBoard(tmp_path, profile_batch=(5, 10))]
    fit(dense(), vectors, callbacks, epochs=2, validation_data=vectors)
    found = profiled(tmp_path)
    assert found.steps == [4, 5, 6, 7, 8, 9]
    assert found.ends[2] + 10 * PAUSE <= found.begins[3]


def test_the_wait_for_a_slow_generator_is_input_and_a_slow_callback_is_not(dense, vectors, tmp_path):
    for name, callbacks in {"input": [], "callback": [Slow()]}.items():
        batches = slowly(*vectors) if name == "input" else ((vectors[0][:8], vectors[1][:8]) for _ in range(10**6))
        board = mbk.TensorBoard(tmp_path / name, profile_batch=(4, 8), write_graph=False)
        dense().fit(batches, steps_per_epoch=10, shuffle=False, verbose=0, callbacks=[*callbacks, board])
    share = {name: mb.read(tmp_path / name)["."].scalars["profile/input_pct"].value[0] for name in ("input", "callback")}
    assert share["input"] > 70
    assert share["callback"] < 30


def test_at_the_end_of_a_generator_of_unknown_length_nothing_is_taken_for_a_step(dense, vectors, tmp_path, profiled):
    board = mbk.TensorBoard(tmp_path, profile_batch=(3, 99))
    with contextlib.suppress(UserWarning), pytest.warns(UserWarning, match="ran out of data|no profile|ended"):
        dense().fit(slowly(*vectors, number=5), shuffle=False, verbose=0, callbacks=[board, Slow()])
    assert profiled(tmp_path).steps == [2, 3, 4]

"""The global step counts optimizer steps and goes on."""

import keras
import pytest

import multiboard as mb
import multiboard.keras as mbk
from multiboard_keras.steps import Steps


def test_two_fits_continue_the_steps_and_share_the_directory(dense, vectors, tmp_path):
    model, callback = dense(), mbk.TensorBoard(tmp_path, every=3, update_freq="batch", hparams={"rate": 0.5})
    for _ in range(2):
        model.fit(*vectors, batch_size=16, verbose=0, callbacks=[callback])
    data = mb.read(tmp_path)["."]
    assert data.scalars["train/loss"].step.tolist() == list(range(8))
    assert data.histograms["params/fc/kernel"].step.tolist() == [0, 3, 6]
    assert data.scalars["train/epoch"].step.tolist() == [3, 7]


def test_steps_before_the_callback_count(fit, dense, vectors):
    model = dense()
    model.fit(*vectors, batch_size=16, verbose=0)
    data = fit(model, callback={"every": 1})
    assert data.histograms["params/fc/kernel"].step.tolist() == [4, 5, 6, 7]


def test_steps_go_on_when_the_model_is_compiled_again(dense, vectors, tmp_path):
    model, callback = dense(), mbk.TensorBoard(tmp_path, update_freq="batch")
    for _ in range(2):
        model.compile(keras.optimizers.SGD(0.1), loss="mse")
        model.fit(*vectors, batch_size=28, verbose=0, callbacks=[callback])
    assert mb.read(tmp_path)["."].scalars["train/loss"].step.tolist() == [0, 1, 2, 3]


def test_accumulated_batches_are_one_step_logged_at_its_last_batch(fit, dense):
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
    data = fit(dense(optimizer), epochs=2, callback={"every": 1, "update_freq": "batch"})
    assert data.scalars["train/loss"].step.tolist() == [0, 1, 2, 3]
    grads = data.histograms["grads/fc/kernel"]
    assert grads.step.tolist() == [0, 1, 2, 3]
    assert grads.description.endswith("as the optimizer gets it (mean of 2 micro-batches)")


@pytest.fixture
def hidden(dense):
    """A model whose steps cannot be seen one by one, why, and the steps that are logged in two epochs of four batches."""
    if keras.backend.backend() != "torch":
        yield dense(steps_per_execution=3), "steps_per_execution=3 runs several steps in one call", [2, 3, 6, 7]
        return
    import torch

    with torch.compiler.set_stance("force_eager"):  # no compiler is needed to see that the option is recognised
        yield dense(jit_compile=True), "jit_compile=True hides the train step in torch.compile", list(range(8))


@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")  # PyTorch's own, in torch.compile
def test_hidden_steps_have_the_means_of_keras_and_parameters_and_this_is_said(hidden, vectors, tmp_path):
    model, reason, steps = hidden
    kernel = model.layers[0].kernel.numpy().copy()
    callback = mbk.TensorBoard(tmp_path, every=2, update_freq="batch")
    with pytest.warns(mb.MultiboardWarning, match=f"{reason}: of captures only parameters are written"):
        history = model.fit(*vectors, batch_size=16, epochs=2, verbose=0, callbacks=[callback])
    data = mb.read(tmp_path)["."]
    assert data.scalars["train/loss"].step.tolist() == steps
    assert data.scalars["train/epoch"].step.tolist() == [3, 7]
    ends = [steps.index(3), steps.index(7)]
    assert data.scalars["train/loss"].value[ends] == pytest.approx(history.history["loss"])
    assert list(data.histograms) == ["params/fc/kernel", "params/fc/bias"]
    calls = [0, *(step + 1 for step in steps[:-1])]
    assert set(data.histograms["params/fc/kernel"].step) <= set(calls)
    assert len(data.histograms["params/fc/kernel"].step) >= 2
    assert data.scalars["norm/params/fc/kernel"].value[0] == pytest.approx(float((kernel**2).sum()) ** 0.5, rel=1e-5)
    assert len(set(data.scalars["norm/params/fc/kernel"].value)) == len(data.scalars["norm/params/fc/kernel"].value)


if keras.backend.backend() != "torch":  # Keras has no such option there

    @pytest.mark.filterwarnings("ignore:Your input ran out of data")  # of Keras, about what is meant here
    def test_updates_of_unknown_number_are_counted_by_the_optimizer(dense, vectors, tmp_path):
        """Four batches a call, and data that end after six."""

        def batches():
            for _ in range(6):
                yield vectors[0][:8], vectors[1][:8]

        model = dense(steps_per_execution=4)
        with pytest.warns(mb.MultiboardWarning, match="steps_per_execution=4"):
            for _ in range(2):
                model.fit(batches(), verbose=0, shuffle=False, callbacks=[mbk.TensorBoard(tmp_path, every=1)])
        assert mb.read(tmp_path)["."].scalars["train/epoch"].step.tolist() == [5, 11]


def test_a_step_is_a_function_of_the_batch_and_not_of_the_order_of_calls():
    steps = Steps(10)
    assert [steps.of(batch) for batch in (2, 0, 1)] == [(12, True), (10, True), (11, True)]
    steps.ran(3)
    steps.end_epoch()
    assert steps.of(0) == (13, True)
    assert (steps.next, steps.last) == (13, 12)


def test_a_further_fit_begins_behind_the_last_one_in_the_phase_of_the_optimizer():
    steps = Steps(4, per_update=2)
    steps.ran(3)
    assert steps.start_of_next_fit(7) == 7
    assert steps.start_of_next_fit(0) == 8  # a new optimizer
    assert steps.start_of_next_fit(5) == 7  # it has left an update out
    assert steps.start_of_next_fit(12) == 12  # trained without the callback meanwhile


def test_an_update_of_two_batches_is_complete_at_the_second():
    steps = Steps(10, per_update=2)
    assert [steps.of(batch) for batch in range(4)] == [(5, False), (5, True), (6, False), (6, True)]

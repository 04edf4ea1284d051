"""Two callbacks in one fit both log, and leave the model as it was."""

import pytest

import multiboard as mb
import multiboard.keras as mbk


def test_the_second_one_has_the_logs_of_keras_and_parameters_and_says_so(dense, vectors, tmp_path):
    model = dense()
    model.make_train_function()
    function = model.train_function
    callbacks = [mbk.TensorBoard(tmp_path / name, every=2, update_freq="batch") for name in ("first", "second")]
    with pytest.warns(mb.MultiboardWarning, match="another callback of multiboard takes the steps"):
        for _ in range(2):
            model.fit(*vectors, batch_size=16, verbose=0, callbacks=callbacks)
    assert model.train_function is function
    first, second = (mb.read(tmp_path / name)["."] for name in ("first", "second"))
    assert first.scalars["train/loss"].step.tolist() == second.scalars["train/loss"].step.tolist() == list(range(8))
    assert first.histograms["grads/fc/kernel"].step.tolist() == [0, 2, 4, 6]
    assert second.histograms["params/fc/kernel"].step.tolist() == [0, 2, 4, 6]
    for mine, theirs in zip(first.histograms["params/fc/kernel"].value, second.histograms["params/fc/kernel"].value, strict=True):
        assert mine.tolist() == theirs.tolist()

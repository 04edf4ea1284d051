"""A sweep of Keras fits in the HParams tab: a row per trial with its values, its metrics and how it ended."""

import contextlib

import keras
import numpy as np
import pytest

import multiboard.keras as mbk

RATES = (0.5, 0.25, 0.125)
OPTIONS = {"domains": {"lr": list(RATES)}, "metrics": {"val/loss": "Loss", "train/loss": ""}}


class Losses(keras.callbacks.Callback):
    """Keeps the validation losses that Keras computes, and interrupts the fit after some of them."""

    def __init__(self, enough):
        super().__init__()
        self.values, self.enough = [], enough

    def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002  # Keras' signature
        self.values.append(logs["val_loss"])
        if len(self.values) == self.enough:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def losses(own_board_dir):
    """Validation losses of three trials by learning rate; the last trial is interrupted after two of three epochs."""
    x, y = np.ones((8, 4), "float32"), np.ones((8, 3), "float32")
    found = {}
    for lr in RATES:
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        model.compile(keras.optimizers.SGD(lr), loss="mse")
        seen = Losses(2 if lr == RATES[-1] else None)
        with mbk.HParams(own_board_dir, {"lr": lr}, **OPTIONS) as callback, contextlib.suppress(KeyboardInterrupt):
            model.fit(x, y, epochs=3, verbose=0, validation_data=(x, y), callbacks=[callback, seen])
        found[lr] = seen.values
    return found


def test_each_trial_is_a_row_with_its_value_its_last_metrics_and_its_status(own_board, losses):
    experiment, rows = own_board.hparams_of_ended(len(RATES), len(RATES))
    (rate,) = (info for info in experiment["hparamInfos"] if info["name"] == "lr")
    assert rate["domainDiscrete"] == list(RATES)
    assert [info["name"]["tag"] for info in experiment["metricInfos"]] == ["val/loss", "train/loss"]
    assert {name: row["hparams"]["lr"] for name, row in rows.items()} == {f"lr={lr}": lr for lr in RATES}
    statuses = {name: row["sessions"][0]["status"] for name, row in rows.items()}
    assert statuses == {"lr=0.5": "STATUS_SUCCESS", "lr=0.25": "STATUS_SUCCESS", "lr=0.125": "STATUS_FAILURE"}
    for lr in RATES:
        shown = {metric["name"]["tag"]: metric["value"] for metric in rows[f"lr={lr}"]["metricValues"]}
        assert shown["val/loss"] == pytest.approx(losses[lr][-1])

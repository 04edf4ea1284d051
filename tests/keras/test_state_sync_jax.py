"""The callback makes Keras bring no state from the device that it would not bring without it."""

import keras
import pytest

import multiboard.keras as mbk


@pytest.mark.parametrize("naming", ["multiboard", "keras"])
def test_no_state_is_synchronised_besides_what_keras_does(dense, vectors, tmp_path, monkeypatch, naming):
    counts = []
    sync = keras.Model.jax_state_sync

    def counted(model):
        if getattr(model, "_jax_state", None) and not model._jax_state_synced:
            counts[-1] += 1
        sync(model)

    monkeypatch.setattr(keras.Model, "jax_state_sync", counted)
    everything = {"every": 2, "histogram_freq": 1, "update_freq": "batch", "write_images": True, "activations": "*"}
    for callbacks in ([], [mbk.TensorBoard(tmp_path, naming=naming, write_steps_per_second=True, **everything)]):
        counts.append(0)
        dense().fit(*vectors, batch_size=16, epochs=2, verbose=0, validation_data=vectors, callbacks=callbacks)
    assert counts[0] > 0
    assert counts[1] == counts[0]

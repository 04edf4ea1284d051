"""What a step has made is freed with the step: nothing holds memory of a device until the garbage collector comes."""

import gc

import keras
import pytest

import multiboard as mb
import multiboard.keras as mbk


def found_by_the_collector(model, vectors, callbacks, epochs):
    """Return how many objects of a fit only the garbage collector has freed."""
    gc.collect()
    gc.disable()
    try:
        model.fit(*vectors, batch_size=4, epochs=epochs, verbose=0, callbacks=callbacks)
        return gc.collect()
    finally:
        gc.enable()


@pytest.mark.parametrize("options", [{}, {"every": 2}, {"every": 1, "activations": "*"}], ids=str)
def test_further_steps_leave_as_little_to_the_garbage_collector_as_without_the_callback(dense, vectors, tmp_path, options):
    with mb.Run(tmp_path) as run:
        callback = mbk.TensorBoard(run=run, update_freq="batch", **options)
        model, grown = dense(metrics=["mae"]), []
        for callbacks in ([], [callback]):
            found_by_the_collector(model, vectors, callbacks, 2)  # compiles, and fills caches
            few, many = (found_by_the_collector(model, vectors, callbacks, epochs) for epochs in (2, 6))
            grown.append(many - few)
    steps = (6 - 2) * len(vectors[0]) // 4
    assert grown[1] - grown[0] < steps, f"{grown} objects more in {steps} steps more on {keras.backend.backend()}"

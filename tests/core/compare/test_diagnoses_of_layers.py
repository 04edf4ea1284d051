"""What is said of the first layer that returns something else with equal weights: what it is tells what may be wrong."""

import numpy as np
import pytest

import multiboard as mb

RNG = np.random.default_rng(3)


def again(value):
    """Return other values of the same distribution, and a little larger ones."""
    return 1.05 * RNG.normal(size=value.shape)


CHANGES = {
    "conv1": [(lambda value: 255 * value, "inputs of another scale"), (again, "other inputs")],
    "conv2": [(again, "padding of a convolution")],
    "norm": [(0.999, "epsilon of a norm"), (np.abs, "axes or variance of a norm")],
    "act": [(lambda value: np.maximum(value, 0), "another activation function")],
    "fc1": [(again, "order of flattened inputs")],
    "drop": [(lambda value: value * (RNG.random(value.shape) < 0.7), "dropout")],
    "fc2": [(again, "transposed kernel")],
    "gelu": [
        (lambda value: value + 4e-4, "GELU: tanh or erf"),
        (lambda value: np.maximum(value, 0), "another activation function"),
    ],
    "fc3": [(again, "order of inputs or of a kernel")],
}


@pytest.mark.parametrize(("layer", "change", "title"), [(layer, *one) for layer, found in CHANGES.items() for one in found])
def test_the_kind_of_the_first_layer_that_differs_tells_the_mistake(written, only, layer, change, title):
    found = mb.compare(written("a"), written("b", activations=only(layer, change)))
    diagnosis = found.diagnoses[0]
    assert (diagnosis.title, diagnosis.layer, diagnosis.step, diagnosis.run) == (title, layer, 0, "b")
    if found.code:
        assert (found.divergence[0].kind, found.divergence[0].name, found.divergence[0].step) == ("activations", layer, 0)


def test_a_batch_norm_that_returns_its_input_is_in_evaluation_mode(written):
    base = RNG.normal(size=(64, 4, 4, 8))
    training = written("a", activations=lambda _, path, value: {"conv2": 3 * base, "norm": base}.get(path, value))
    running = written("b", activations=lambda _, path, value: {"conv2": 3 * base, "norm": 3 * base}.get(path, value))
    assert [one.title for one in mb.compare(training, running).diagnoses] == ["batch norm in evaluation mode"]


def test_a_layer_that_differs_by_rounding_is_not_the_first_one(written):
    other = written("b", activations=lambda _, path, value: value * {"conv1": 1 + 1e-7, "fc2": 1.1}.get(path, 1.0))
    assert [one.title for one in mb.compare(written("a"), other).diagnoses] == ["transposed kernel"]


def test_a_difference_far_below_the_tolerance_leads_what_follows_from_it(written):
    def small(_, path, value):
        return value * (0.999 if path == "norm" else 1.0)

    follows = written("b", activations=small, grads=lambda step, path, value: value * (1.1 if step and "fc" in path else 1.0))
    found = mb.compare(written("a"), follows)
    assert [(one.kind, one.name, one.step) for one in found.divergence[:2]] == [
        ("activations", "norm", 0),
        ("grads", "fc3/kernel", 10),
    ]
    assert found.divergence[0].distance < found.tolerances["activations"]


def test_below_the_tolerance_a_run_is_close_and_the_mistake_is_told(written, only):
    found = mb.compare(written("a"), written("b", activations=only("norm", 0.999)))
    assert found.code == 0
    assert "within tolerance, but no rounding" in found.diagnoses[0].evidence[0]
    assert "b may have: epsilon of a norm (norm, step 0)" in str(found)


def test_where_the_weights_are_not_equal_outputs_are_not_blamed(written, only):
    rng = np.random.default_rng(4)
    other = written("b", params=lambda _, __, value: rng.normal(size=value.shape), activations=only("fc2", again))
    assert [one.title for one in mb.compare(written("a"), other).diagnoses] == ["other initial weights"]

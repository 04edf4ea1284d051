"""An exact capture keeps the same elements in every layout, and says which."""

import numpy as np
import pytest

import multiboard as mb
from multiboard import exact_samples
from multiboard.errors import ArgumentError
from multiboard.exact import check_exact
from multiboard.transforms import canonical


@pytest.mark.parametrize(
    ("shape", "transform"),
    [((40, 30), "transpose 1 0"), ((8, 6, 5, 5), "transpose 2 3 1 0"), ((30, 4, 10), "merge 1"), ((1200,), "identity")],
)
def test_a_sample_is_of_the_same_elements_in_every_layout(shape, transform):
    native = np.random.default_rng(0).normal(size=shape)
    kept = native.reshape(-1)[exact_samples.places(shape, transform, 100)]
    compared = canonical(native, transform).reshape(-1)
    assert kept.tolist() == compared[exact_samples.sample(native.size, 100)].tolist()


def test_a_fused_tensor_keeps_what_its_thirds_would_keep():
    native = np.random.default_rng(0).normal(size=(60, 10))
    kept = native.reshape(-1)[exact_samples.places(native.shape, "transpose 1 0, thirds", 50)]
    thirds = [third.T.reshape(-1)[exact_samples.sample(200, 50)] for third in np.split(native, 3)]
    assert kept.tolist() == np.concatenate(thirds).tolist()


@pytest.mark.parametrize("shape", [(), (0, 3), (1,)])
def test_a_tensor_of_few_elements_keeps_its_shape(shape):
    assert exact_samples.Later(np.ones(shape, np.float32), shape).fetch().shape == shape


@pytest.mark.parametrize("size", [101, 250, 5_000, 38_597_376, 2**33])
def test_a_sample_is_ascending_and_even(size):
    kept = exact_samples.sample(size, 100)
    gaps = np.diff(kept)
    assert gaps.min() > 0
    assert gaps.max() <= 4 * size / len(kept)
    assert 0 <= kept[0] < kept[-1] < size
    assert 60 < len(kept) <= 100


def test_a_tensor_of_the_limit_is_kept_whole():
    assert exact_samples.sample(100, 100) is None
    assert exact_samples.places((10, 10), "transpose 1 0", 100) is None


@pytest.mark.parametrize(
    ("dtype", "shape", "transform", "told"),
    [
        ("torch.bfloat16", (4, 8), "transpose 1 0", ("bfloat16", (8, 4), False, None)),
        ("float32", (300, 40), "identity", ("float32", (300, 40), False, 1000)),
        ("float32", (3000, 400), "transpose 1 0, thirds", ("float32", (400, 3000), True, 1000)),
        ("float64", (), "identity", ("float64", (), False, None)),
    ],
)
def test_a_description_tells_the_type_the_shape_and_the_sample(dtype, shape, transform, told):
    text = exact_samples.described("`a.weight` of Linear, after clipping (to a norm of 1)", dtype, shape, transform, 1000)
    assert exact_samples.parse(text) == told


def test_other_descriptions_tell_nothing():
    assert exact_samples.parse("`a.weight` of Linear") is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0}, {"steps": "all"}, {"steps": ()}, {"steps": (-1,)}, {"kinds": ("params", "losses")}, {"limit": 0},
        {"layers": lambda *_: True}, {"layers": ()},
    ],
)  # fmt: skip
def test_an_exact_capture_of_something_else_is_refused(wrong):
    with pytest.raises(ArgumentError):
        mb.Exact(**wrong)


def test_a_step_that_is_not_captured_is_refused():
    with pytest.raises(ArgumentError, match="step 7 is no captured one: name multiples of every=5"):
        check_exact(mb.Exact(steps=[0, 7]), 5)
    with pytest.raises(ArgumentError, match="step 7"):
        check_exact(mb.Exact(steps=7), 5)
    with pytest.raises(ArgumentError, match=r"multiboard\.Exact"):
        check_exact("params", 5)


def test_layers_are_chosen_by_their_paths_or_by_those_of_their_tensors():
    exact = mb.Exact(layers=["encoder.*", "head.bias"], kinds=["params", "activations"], steps=10)
    chosen = [("params", "encoder/0/kernel"), ("params", "head/bias"), ("activations", "encoder/0")]
    others = [("params", "head/kernel"), ("grads", "encoder/0/kernel"), ("activations", "head")]
    assert all(exact.has(*one) for one in chosen)
    assert not any(exact.has(*one) for one in others)
    assert [step for step in (0, 5, 10, 20) if exact.has_step(step)] == [0, 10, 20]

"""What can be tagged and what comes back; what cannot is an error that names it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import multiboard as mb
import multiboard.jax as mbj

FLOAT0 = np.zeros(3, jax.dtypes.float0)
NOT_NUMBERS = {
    "keys": lambda: jax.random.key(0),
    "empty tangents": lambda: FLOAT0,
    "a tree": lambda: {"a": jnp.ones(2)},
    "text": lambda: np.array(["a"]),
    "a shape": lambda: jax.ShapeDtypeStruct((2,), jnp.float32),
    "nothing": lambda: None,
}


@pytest.mark.parametrize("name", NOT_NUMBERS)
def test_what_is_no_array_of_numbers_is_refused(name):
    with pytest.raises(mb.ArgumentError, match=r"(?s)argument 'x' got .* one array of numbers at a time"):
        mbj.tag("t", NOT_NUMBERS[name]())
    with pytest.raises(mb.ArgumentError, match=r"(?s)argument 'scalar' got .* pass one real number"):
        mbj.log_inside("t", NOT_NUMBERS[name]())


@pytest.mark.parametrize("value", [jnp.ones(2), jnp.ones(1), 1j, jnp.complex64(1)], ids=repr)
def test_what_is_no_real_number_cannot_be_logged(value):
    with pytest.raises(mb.ArgumentError, match=r"(?s)argument 'scalar' got .* pass one real number"):
        mbj.log_inside("t", value)


@pytest.mark.parametrize("call", [mbj.tag, mbj.log_inside, mbj.tag_tree])
@pytest.mark.parametrize("name", ["", 3, None])
def test_a_name_that_is_no_tag_is_refused(call, name):
    with pytest.raises(mb.TagError):
        call(name, 1.0)


DTYPES = ["bool", "int8", "uint8", "int4", "int32", "bfloat16", "float16", "float8_e4m3fn", "float8_e5m2", "complex64"]


def test_values_of_every_dtype_are_counted_and_come_back_as_they_are(run, written):
    arrays = {dtype: jnp.asarray(np.array([0, 1, 1]), dtype) for dtype in DTYPES} | {"empty": jnp.zeros((0, 3))}

    def train_step(arrays):
        return {name: mbj.tag(name, array) for name, array in arrays.items()}

    with run:
        result = mbj.wrap_train_step(train_step, run, metrics=False)(arrays)
    jax.tree.map(np.testing.assert_array_equal, result, arrays)
    assert jax.tree.map(lambda x: x.dtype, result) == jax.tree.map(lambda x: x.dtype, arrays)
    found = written().histograms
    assert [found[f"activations/{name}"].value[0][:, 2].sum() for name in DTYPES] == [3] * len(DTYPES)
    assert np.sum(found["activations/empty"].value[0][:, 2]) == 0


def test_types_and_constants_stay_what_they_are_in_the_measured_variant(run, causes):
    def train_step(x):
        weak = mbj.tag("weak", lax.mul(2.0, 3.0))
        assert jax.typeof(weak).weak_type
        assert mbj.tag("float16", x).dtype == jnp.float16
        assert range(mbj.tag("count", 3)) == range(3)
        assert isinstance(mbj.tag("mask", np.ones(3)), np.ndarray)
        return x * weak

    with run:
        step = mbj.wrap_train_step(train_step, run, metrics=False)
        assert step(jnp.ones(2, jnp.float16)).dtype == jnp.float16
    assert causes == []


def test_constants_are_logged(run, written):
    with run:
        mbj.wrap_train_step(lambda x: x * mbj.tag("number", 3.0) * mbj.tag("array", np.ones(2)), run, metrics=False)(1.0)
    assert written().scalars["activations/number"].value.tolist() == [3]
    assert written().histograms["activations/array"].value[0].tolist() == [[1, 1.125, 2]]


def test_a_tree_is_named_by_the_paths_of_its_arrays(run, written):
    def train_step(x, key):
        tree = {"params": {"a": x, "list": [x * 2, key, "text", None], "n": x.sum()}}
        named = mbj.tag_tree("ema", tree)
        assert jax.tree.structure(named) == jax.tree.structure(tree)
        assert named["params"]["list"][2] == "text"
        return named["params"]["a"], named["params"]["list"][1], mbj.tag_tree("alone", x)

    with run:
        mbj.wrap_train_step(train_step, run, metrics=False)(jnp.ones(3), jax.random.key(0))
    data = written()
    assert set(data.histograms) == {"ema/a", "ema/list/0", "activations/alone"}
    assert data.scalars["ema/n"].value.tolist() == [3]


def test_a_value_of_another_trace_is_the_error_of_jax(run, causes):
    leaked = []
    jax.jit(lambda x: leaked.append(x) or x)(1.0)
    with run, pytest.raises(jax.errors.UnexpectedTracerError):
        mbj.wrap_train_step(lambda x: x * mbj.tag("t", leaked[0]), run, metrics=False)(1.0)
    assert causes == []

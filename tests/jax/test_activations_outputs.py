"""Of what a layer returns the first traced array is written, and the layer returns the same as before."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx, struct

import multiboard.jax as mbj

X = np.arange(6, dtype=np.float32)


@struct.dataclass
class Output:
    hidden: jax.Array
    name: str = struct.field(pytree_node=False, default="x")


OUTPUTS = {
    "tuple": (lambda x: (x * 2, x), [0, 2, 4, 6, 8, 10]),
    "dict": (lambda x: {"b": x, "a": x * 3}, [0, 3, 6, 9, 12, 15]),
    "nested": (lambda x: (None, "text", [np.ones(2), (x + 1,)]), [1, 2, 3, 4, 5, 6]),
    "dataclass": (lambda x: Output(x + 2), [2, 3, 4, 5, 6, 7]),
    "integers": (lambda x: jnp.argsort(-x), [5, 4, 3, 2, 1, 0]),
    "booleans": (lambda x: x > 3, [0, 0, 0, 0, 1, 1]),
    "one number": (lambda x: x.sum(), [15]),
    "key": (lambda x: (jax.random.key(x[0].astype(int)), x), [0, 1, 2, 3, 4, 5]),
    "nothing": (lambda _: None, None),
    "an object": (lambda _: object(), None),
    "a number known before": (lambda _: 3, None),
}


class NnxLayer(nnx.Module):
    def __init__(self, function):
        self.function = function

    def __call__(self, x):
        return self.function(x)


class LinenLayer(linen.Module):
    function: object

    def __call__(self, x):
        return self.function(x)


class Holder(nnx.Module):
    def __init__(self, function):
        self.layer = NnxLayer(function)


class Outer(linen.Module):
    function: object

    @linen.compact
    def __call__(self, x):
        return LinenLayer(self.function, name="layer")(x)


def reduced(output):
    """Return a scalar that depends on all numbers in an output."""
    numbers = [leaf for leaf in jax.tree.leaves(output) if hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.number)]
    return sum((jnp.sum(leaf) for leaf in numbers), jnp.zeros(()))


@pytest.mark.parametrize("style", ["nnx", "linen"])
@pytest.mark.parametrize("name", OUTPUTS)
def test_the_first_array_is_written(name, style, run, written):
    function, expected = OUTPUTS[name]
    structures = []

    def step(model, x):
        output = model.layer(x) if style == "nnx" else Outer(function).apply({}, x)
        structures.append(jax.tree.structure(output))
        return reduced(output)

    with run:
        result = mbj.wrap_train_step(step, run, activations=["layer"])(Holder(function) if style == "nnx" else 0, X)
    if expected is None:
        assert not written().histograms
    else:
        assert written().histograms["activations/layer"].value[0][:, 2].sum() == len(expected)
        np.testing.assert_allclose(written().scalars["norm/activations/layer"].value, [np.linalg.norm(expected)], rtol=1e-6)
    assert float(result) == float(jax.jit(lambda x: reduced(function(x)))(X))
    if name != "an object":
        assert structures[0] == jax.tree.structure(function(jnp.asarray(X)))


@pytest.mark.filterwarnings("ignore:'.value'")
def test_a_variable_that_a_module_returns_stays_the_same_object(run, written):
    class Holding(nnx.Module):
        def __init__(self):
            self.count = nnx.Variable(jnp.zeros(()))

        def __call__(self, x):
            return self.count, x

    class Model(nnx.Module):
        def __init__(self):
            self.holding = Holding()

    def step(model, x):
        count, y = model.holding(x)
        count.value = count.value + 1
        return y.sum()

    model = Model()
    with run:
        mbj.wrap_train_step(step, run, activations=["*"])(model, X)
    assert float(model.holding.count.value) == 1
    assert written().histograms["activations/holding"].value[0][:, 2].sum() == 6

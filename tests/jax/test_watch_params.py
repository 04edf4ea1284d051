"""One call writes the distributions and norms of a tree of arrays, under the tags of the wrapped step."""

import dataclasses
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx
from flax.training.train_state import TrainState
from jax import lax

import multiboard as mb
import multiboard.jax as mbj
from multiboard.buckets import measure


def assert_written(data, tag, values, steps=(0,)):
    column = data.histograms[tag]
    assert column.step.tolist() == list(steps)
    np.testing.assert_array_equal(column.value[-1], measure(np.asarray(values)).rows())


class Normalized(nnx.Module):
    def __init__(self, rngs):
        self.dense = nnx.Linear(3, 4, rngs=rngs)
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)


class LinenNormalized(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.BatchNorm(use_running_average=True, name="norm")(linen.Dense(4, name="dense")(x))


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Layer:
    """A module as equinox makes them: a dataclass that is a tree, here with a leaf that is no array."""

    weight: jax.Array
    activation: object = dataclasses.field(default=None)
    size: int = dataclasses.field(metadata={"static": True}, default=0)


def variables():
    return LinenNormalized().init(jax.random.key(0), jnp.zeros((1, 3)))


TREES = {
    "dict": lambda: {
        "dense": {"kernel": jnp.ones((3, 4)), "bias": np.zeros(4)},
        "norm": {"scale": jnp.ones(4), "bias": jnp.ones(4)},
    },
    "NNX module": lambda: Normalized(nnx.Rngs(0)),
    "NNX state": lambda: nnx.state(Normalized(nnx.Rngs(0)), nnx.Param),
    "linen variables": variables,
    "linen params": lambda: variables()["params"],
    "training state": lambda: TrainState.create(apply_fn=None, params=variables()["params"], tx=optax.adam(0.1)),
}


@pytest.mark.parametrize("name", TREES)
def test_every_style_of_parameters_has_the_same_tags(name, run, written):
    mbj.watch_params(TREES[name](), run, 5)
    run.close()
    data = written()
    places = ["dense/bias", "dense/kernel", "norm/bias", "norm/scale"]
    assert sorted(data.histograms) == [f"params/{place}" for place in places]
    assert set(data.scalars) == {f"norm/params/{place}" for place in places} | {"norm/params", "nonfinite/params"}
    assert_written(data, "params/norm/scale", np.ones(4, np.float32), [5])


def test_a_wrapped_step_writes_the_same(style, batch_at, run, tmp_path, written):
    training = style(mbj.tap(optax.adam(0.1)))
    with mb.Run(tmp_path / "wrapped") as wrapped:
        step, args = mbj.wrap_train_step(training.step, wrapped, every=1, log="params"), training.start()
        for i in range(2):
            tree = args[0] if isinstance(args[0], nnx.Module) else training.params(args)
            mbj.watch_params(tree, run, i)
            args = training.follow(args, step(*args, *batch_at(i)))
    run.close()
    expected, found = mb.read(tmp_path / "wrapped")["."], written()
    assert sorted(found.histograms) == sorted(expected.histograms)
    for tag, column in expected.histograms.items():
        for mine, theirs in zip(found.histograms[tag].value, column.value, strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_buffers_are_the_batch_statistics_of_modules_and_variables(run, written):
    mbj.watch_params(Normalized(nnx.Rngs(0)), run, 0, group="buffers")
    mbj.watch_params(variables(), run, 1, group="buffers")
    run.close()
    assert set(written().histograms) == {"buffers/norm/mean", "buffers/norm/var"}
    assert_written(written(), "buffers/norm/var", np.ones(4, np.float32), [0, 1])


def test_groups_norms_and_histograms_can_be_chosen(run, written):
    tree = {"dense": {"kernel": jnp.ones(2)}}
    mbj.watch_params(tree, run, 3, group="grads", histograms=False)
    mbj.watch_params(tree, run, 3, group="updates", norms=False)
    run.close()
    data = written()
    assert list(data.histograms) == ["updates/dense/kernel"]
    assert {tag for tag in data.scalars if tag.startswith("norm/")} == {"norm/grads", "norm/grads/dense/kernel"}


def test_arrays_may_be_donated_and_overwritten_afterwards(run, written):
    update = jax.jit(lambda x: x * 0, donate_argnums=0)
    for step in range(10):
        device, host = jnp.full(1000, 3.0), np.full(1000, 3.0, np.float32)
        mbj.watch_params({"device": device, "host": host}, run, step)
        update(device)
        host[:] = 0
    run.close()
    for tag in ("params/device", "params/host"):
        assert_written(written(), tag, np.full(1000, 3.0, np.float32), range(10))
        for rows in written().histograms[tag].value:
            assert rows[:, 2].sum() == 1000
            assert rows[0, 0] == 3.0


def test_nothing_is_waited_for(run, written):
    @jax.jit
    def work(x):
        return lax.fori_loop(0, 400, lambda _, w: jnp.tanh(w @ x), x)

    tree = {"kernel": work(jnp.full((200, 200), 0.01))}
    mbj.watch_params(tree, run, 0)  # compiles
    tree = {"kernel": work(jnp.full((200, 200), 0.02))}
    mbj.watch_params(tree, run, 1)
    assert not tree["kernel"].is_ready()
    run.close()
    assert written().histograms["params/kernel"].step.tolist() == [0, 1]


def test_leaves_that_are_no_arrays_of_numbers_are_left_out_and_said_once(run, written):
    layer = Layer(jnp.ones((2, 3)), activation=jax.nn.relu, size=3)
    tree = {"layer": layer, "key": jax.random.key(0), "rate": 0.5, "text": np.array(["a"]), "none": None}
    with pytest.warns(mb.MultiboardWarning, match=r"4 leaves .* key \(key<fry>\), layer/activation") as said:
        for step in range(3):
            mbj.watch_params(tree, run, step)
        run.close()
    assert len(said) == 1
    assert list(written().histograms) == ["params/layer/kernel"]
    assert_written(written(), "params/layer/kernel", np.ones((2, 3)), range(3))


@pytest.mark.parametrize("tree", [{}, [], None, {"a": {}}])
def test_an_empty_tree_is_said_once_and_writes_nothing(tree, run, written):
    with pytest.warns(mb.MultiboardWarning, match="is empty") as said:
        for step in range(3):
            mbj.watch_params(tree, run, step)
        run.log({"x": 1.0}, 0)
        run.close()
    assert len(said) == 1
    assert list(written().histograms) == []


def test_two_arrays_of_the_same_name_are_numbered(run, written):
    mbj.watch_params({"a": {"weight": jnp.ones(2), "kernel": jnp.zeros(3)}}, run, 0)
    run.close()
    assert set(written().histograms) == {"params/a/kernel", "params/a/kernel#1"}
    assert_written(written(), "params/a/kernel#1", np.ones(2))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float8_e4m3fn", "int8", "int4", "bool", "complex64"])
def test_every_kind_of_number_is_counted(dtype, run, written):
    mbj.watch_params({"kernel": jnp.array([0, 1, 1, 0, 1], dtype)}, run, 0)
    run.close()
    assert written().histograms["params/kernel"].value[0].tolist() == [[0, 0, 2], [1, 1.125, 3]]


def test_a_donated_tree_is_left_out_and_said_once(run, written):
    kernel = jnp.ones(3)
    kernel.delete()
    with pytest.warns(mb.MultiboardWarning, match="params of step 0 were left out: RuntimeError"):
        mbj.watch_params({"kernel": kernel}, run, 0)
    mbj.watch_params({"kernel": jnp.ones(3)}, run, 1)
    run.close()
    assert written().histograms["params/kernel"].step.tolist() == [1]


def test_a_closed_run_is_said_once_and_raises_nothing(run):
    tree = {"kernel": jnp.ones(3)}
    for step in range(2):
        mbj.watch_params(tree, run, step)
    run.close()
    with pytest.warns(mb.MultiboardWarning, match="closed"):
        mbj.watch_params(tree, run, 2)


def test_a_process_without_a_run_measures_and_writes_nothing(tmp_path):
    mbj.watch_params({"kernel": jnp.ones(3)}, None, 0)
    assert list(tmp_path.iterdir()) == []


def test_inside_jit_it_says_what_to_use(run):
    @jax.jit
    def step(x):
        mbj.watch_params({"kernel": x}, run, 0)
        return x

    with pytest.raises(mb.ArgumentError, match="outside of jit") as raised:
        step(jnp.ones(3))
    assert raised.value.name == "tree"
    run.close()


WRONG = {
    "run": ("runs/first", "multiboard.Run"),
    "group": ("weights", "'grads'"),
    "histograms": (1, "True or False"),
    "norms": ("no", "True or False"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_argument_is_named_with_its_remedy(name, run):
    value, remedy = WRONG[name]
    with pytest.raises(mb.ArgumentError, match=remedy) as raised:
        mbj.watch_params(**{"tree": {"kernel": jnp.ones(3)}, "run": run, "step": 0, name: value})
    assert raised.value.name == name
    run.close()


def test_a_step_that_is_no_integer_is_refused(run):
    with pytest.raises(mb.StepError):
        mbj.watch_params({"kernel": jnp.ones(3)}, run, 1.5)
    run.close()


ON_FOUR_DEVICES = """
import sys
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import NamedSharding, PartitionSpec as P
import multiboard as mb, multiboard.jax as mbj
from multiboard.buckets import measure
mesh = jax.make_mesh((4,), ("data",))
values = np.random.default_rng(0).normal(size=(16, 20)).astype(np.float32)
tree = {
    "rows": jax.device_put(values, NamedSharding(mesh, P("data"))),
    "columns": jax.device_put(values, NamedSharding(mesh, P(None, "data"))),
    "whole": jax.device_put(values, NamedSharding(mesh, P())),
}
with mb.Run(sys.argv[1]) as run:
    mbj.watch_params(tree, run, 0)
found = mb.read(sys.argv[1])["."].histograms
for name in tree:
    np.testing.assert_array_equal(found[f"params/{name}"].value[0], measure(values).rows())
print(len(found))
"""


def test_arrays_on_several_devices_are_counted_once(log_dir, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=4")
    command = [sys.executable, "-W", "error", "-c", ON_FOUR_DEVICES, str(log_dir)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "3"

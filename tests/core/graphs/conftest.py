"""Graphs recorded by hand: what a summary, a picture or a comparison of them must say is known."""

from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from hypothesis import strategies as st

from multiboard.graph.ir import INPUT, OUTPUT, Frame, Graph, Node, TensorSpec
from multiboard.graph.recorder import Recorder, Weight, elements

FLOAT = "float32"


class Model:
    """Records a model: frames are context managers, operations return what they computed."""

    def __init__(self):
        self.recorder = Recorder()
        self.scope = ()

    @contextmanager
    def frame(self, name, cls="", kind="module"):
        outside = self.scope
        self.scope = (*outside, self.recorder.frame(kind, name, cls))
        yield
        self.scope = outside

    def spec(self, value):
        return self.recorder.nodes[value[0]].outputs[value[1]]

    def input(self, name, shape):
        return self.recorder.add(Node(INPUT, (), (), (TensorSpec(shape, FLOAT),), name)), 0

    def output(self, name, value):
        self.recorder.add(Node(OUTPUT, (), (value,), (), name))

    def weight(self, role, shape, *, trainable=True, path=None, dtype=FLOAT):
        layers = [frame.name for frame in self.scope if frame.kind == "module"][1:]
        path = path or "/".join([*layers, role])
        spec = TensorSpec(shape, dtype)
        weight = Weight(path, role, path, path.replace("/", "."), spec, elements(shape), trainable=trainable)
        return self.recorder.weight(weight, self.scope), 0

    def op(self, op, inputs, shape=None, *, dtype=FLOAT, **facts):
        shape = self.spec(inputs[0]).shape if shape is None else shape
        return self.recorder.add(Node(op, self.scope, tuple(inputs), (TensorSpec(shape, dtype),), **facts)), 0

    def call(self, name, op, inputs, shape=None):
        with self.frame(name, kind="call"):
            return self.op(op, inputs, shape)

    def dense(self, name, x, width, *, cls="Linear", dtype=FLOAT, op="aten::addmm"):
        with self.frame(name, cls):
            rows, fan_in = self.spec(x).shape
            weights = [self.weight("kernel", (fan_in, width), dtype=dtype), self.weight("bias", (width,), dtype=dtype)]
            return self.op(op, [x, *weights], (rows, width), dtype=dtype, flops=2 * (rows or 0) * fan_in * width)

    def norm(self, name, x):
        with self.frame(name, "BatchNorm1d"):
            width = (self.spec(x).shape[1],)
            trained = [self.weight(role, width) for role in ("scale", "bias")]
            state = [self.weight(role, width, trainable=False) for role in ("mean", "var")]
            return self.op("aten::batch_norm", [x, *trained, *state])

    def finish(self, value=None, framework="torch"):
        if value is not None:
            self.output("output", value)
        return self.recorder.finish(framework, 3)


def mlp(*, width=16, second="Linear", activation="aten::relu", rows=8, norm=True, name="head", dtype=FLOAT, framework="torch"):
    """A chain: fc1 (Linear) -> norm -> relu -> two equal blocks with a residual -> head."""
    model = Model()
    x = model.input("x", (rows, 4))
    with model.frame("Net", "Net"):
        h = model.dense("fc1", x, width)
        h = model.norm("norm", h) if norm else h
        h = model.call("relu", activation, [h])
        with model.frame("blocks", "ModuleList"):
            for number in "01":
                with model.frame(number, "Block"):
                    inner = model.dense("fc", h, width, cls=second)
                    h = model.call("add", "aten::add", [h, inner])
        h = model.dense(name, h, 2, dtype=dtype)
    return model.finish(h, framework)


def deep(blocks):
    """A stack of equal blocks."""
    model = Model()
    h = model.input("x", (8, 4))
    with model.frame("Deep", "Deep"):
        for number in range(blocks):
            with model.frame(f"block{number}", "Block"):
                h = model.call("add", "aten::add", [h, model.dense("fc", h, 4)])
    return model.finish(h)


_NAMES = st.sampled_from(["fc", "conv|1", "a/b", 'say "x"', "<b>&", "\\n", "0", "é\x00", "blocks"])
_SHAPES = st.one_of(st.none(), st.lists(st.one_of(st.none(), st.integers(0, 9)), max_size=3).map(tuple))


@st.composite
def graphs(draw):
    """Any scopes, any edges to earlier nodes and some to later ones, any amounts."""
    frames = [
        Frame(
            draw(st.sampled_from(["module", "call", "region"])), draw(_NAMES), draw(st.sampled_from(["", "Linear", "X|Y"])), uid
        )
        for uid in range(draw(st.integers(1, 6)))
    ]
    frames.append(Frame("region", draw(st.sampled_from(["backward", "optimizer", "scan"])), "", 99))
    scopes = [draw(st.lists(st.sampled_from(frames), max_size=4, unique=True)) for _ in range(draw(st.integers(1, 9)))]
    scopes = [tuple(sorted(scope, key=lambda frame: -frame.uid)) for scope in scopes]
    many = draw(st.integers(0, 24))
    ops = st.sampled_from(["aten::mm", "aten::add", INPUT, "Const_Parameter", "Const_Buffer", "Const", OUTPUT])
    nodes = []
    for number in range(many):
        sources = draw(st.lists(st.integers(0, max(many - 1, 0)), max_size=3 if number else 0))
        outputs = (TensorSpec(draw(_SHAPES), draw(st.sampled_from(["float32", "", "bool"]))),)
        amounts = {name: draw(st.integers(0, 9)) for name in ("flops", "params", "mem")}
        inputs = tuple((source, 0) for source in sources)
        nodes.append(Node(draw(ops), draw(st.sampled_from(scopes)), inputs, outputs, draw(_NAMES), **amounts))
    return Graph("torch", tuple(nodes), None, ("a note",))


@pytest.fixture(scope="session")
def by_hand():
    """Model, the recorder of models; mlp(...) and deep(blocks), two of them."""
    return SimpleNamespace(Model=Model, mlp=mlp, deep=deep)


@pytest.fixture(scope="session")
def any_graph():
    """A strategy of graphs."""
    return graphs()

"""Fixtures of the PyTorch tests: a small model, its training by hand, and cases as tensors."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.modules import module as hooks
from torch.utils._python_dispatch import TorchDispatchMode

import multiboard as mb
from multiboard import tags
from multiboard.graph.ir import layer_path
from multiboard.profile.tracer import Request
from multiboard_torch.graph import graph
from multiboard_torch.profile import make_tracer
from multiboard_torch.tracing.trees import tensors


class Network(nn.Module):
    """One layer of each role: kernel, bias, scale and embedding."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(11, 6)
        self.norm = nn.LayerNorm(6)
        self.dense = nn.Linear(6, 3)

    def forward(self, x):
        return self.dense(self.norm(self.words(x)).mean(1))


@pytest.fixture(autouse=True)
def threads(request):
    """Count with several threads, which are one otherwise, so that the workers of the tests do not wait for each other."""
    before = torch.get_num_threads()
    if request.path.name.startswith("test_counts"):
        torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def log_dir(tmp_path):
    return tmp_path / "run"


@pytest.fixture
def written(log_dir):
    """A function that reads what the run in `log_dir` has written."""
    return lambda: mb.read(log_dir)["."]


@pytest.fixture
def network():
    """A function that makes the same model each time."""

    def make():
        torch.manual_seed(0)
        return Network()

    return make


@pytest.fixture
def loss_at():
    """A function `loss_at(model, step)`: the loss of the batch of a step."""

    def compute(model, step):
        generator = torch.Generator().manual_seed(step)
        x = torch.randint(0, 11, (16, 5), generator=generator)
        return model(x).square().mean() + model(x)[:, 0].mean()

    return compute


@pytest.fixture
def train(loss_at):
    """A function `train(model, optimizer, steps)` that trains and returns the losses."""

    def run_loop(model, optimizer, steps):
        losses = []
        for step in range(steps):
            optimizer.zero_grad()
            loss = loss_at(model, step)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    return run_loop


@pytest.fixture
def as_tensor():
    """A function that makes a tensor of a bucket case."""

    def convert(case):
        if case.dtype == "bfloat16":
            return torch.from_numpy(case.array.view(np.int16)).view(torch.bfloat16)
        return torch.from_numpy(case.array)

    return convert


@pytest.fixture(params=["CPU", "DEVICE"])
def kernel(request):
    """Both kernels; the one for devices runs on the CPU here."""
    from multiboard_torch import statistics

    return getattr(statistics, request.param)


@pytest.fixture
def assert_measured():
    """A function that compares row `row` of a measurement with the expected statistics."""

    def compare(measured, row, expected, values):
        np.testing.assert_array_equal(measured.counts[row].numpy(), expected.counts)
        np.testing.assert_array_equal(measured.specials[row].numpy(), expected.specials)
        total, squares, smallest, largest = measured.moments[row].numpy().astype(np.float64)
        assert smallest == expected.moments[2]
        assert largest == expected.moments[3]
        with np.errstate(over="ignore", invalid="ignore"):
            finite = np.float32(values[np.isfinite(np.float32(values))]).astype(np.float64)
            magnitude = np.abs(finite).sum()
            if np.float32(magnitude) < np.inf:
                np.testing.assert_allclose(total, finite.sum(), atol=1e-5 * magnitude, rtol=0)
            np.testing.assert_allclose(squares, np.float32(np.square(np.float32(finite)).sum(dtype=np.float64)), rtol=1e-4)

    return compare


ENDS = {"Input", "Output", "Const", "Const_Parameter", "Const_Buffer"}
UNSEEN = {"aten::detach", "aten::alias", "aten::lift_fresh", "aten::lift"}
"""What a graph shows as the tensor that it was made of."""


class Executed(TorchDispatchMode):
    """What ran, and in which module, recorded by other means: the operators, each with the paths that its module has."""

    supports_higher_order_operators = True

    def __init__(self, model):
        super().__init__()
        self.rows, self._running, self._paths = [], [], {}
        for native, module in model.named_modules(remove_duplicate=False):
            parametrized = "parametrizations" in native.split(".")
            self._paths.setdefault(module, set()).add(None if parametrized else tags.layer_path(native))
        self._hooks = [
            hooks.register_module_forward_pre_hook(lambda module, _: self._enter(module)),
            hooks.register_module_forward_hook(lambda *_: self._leave(), always_call=True),
        ]

    def _enter(self, module):
        paths = self._paths.get(module, {"?"})
        self._running.append(self._running[-1] if paths == {None} else paths)

    def _leave(self):
        self._running.pop()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._schema.name if hasattr(func, "_schema") else func.__name__
        if name not in UNSEEN and not name.startswith(("prim::", "profiler::")):
            self.rows.append((name, self._running[-1] if self._running else {""}))
        return func(*args, **(kwargs or {}))

    def __exit__(self, *error):
        super().__exit__(*error)
        for hook in self._hooks:
            hook.remove()


def same(one, other):
    """Tell whether two nested containers hold the same values, bit for bit."""
    found, expected = list(tensors(one)), list(tensors(other))
    return len(found) == len(expected) and all(
        path == other_path and torch.equal(a.detach().contiguous().view(-1).to("cpu"), b.detach().contiguous().view(-1))
        if not a.is_floating_point()
        else torch.equal(torch.nan_to_num(a.detach(), nan=7.25), torch.nan_to_num(b.detach(), nan=7.25))
        for (path, a), (other_path, b) in zip(found, expected, strict=True)
    )


def gradients(model, out):
    """Return the gradients of what a model has returned, as far as there are any."""
    outputs = [tensor for _, tensor in tensors(out) if tensor.requires_grad]
    if outputs:
        torch.autograd.backward(outputs, [torch.ones_like(tensor) for tensor in outputs])
    return [parameter.grad for parameter in model.parameters()]


@pytest.fixture
def observe():
    """A function `observe(make, *args, **kwargs)` that observes one call of a new model and returns its graph.

    It asserts what must hold for every model: outputs, state and random numbers as without the graph, every operator once and in
    its module, no dangling input, and all parameters counted.
    """

    def run(
        make, *args, call=lambda model, *args, **kwargs: model(*args, **kwargs), unused=0, inner=lambda model: model, **kwargs
    ):
        torch.manual_seed(0)
        plain, model = make(), None
        torch.manual_seed(0)
        model = make()
        torch.manual_seed(1)
        expected, drawn = call(plain, *copy.deepcopy(args), **copy.deepcopy(kwargs)), torch.get_rng_state()
        own_args, own_kwargs = copy.deepcopy(args), copy.deepcopy(kwargs)
        torch.manual_seed(1)
        recording = graph(model)
        with Executed(inner(model)) as executed:
            found = call(model, *own_args, **own_kwargs)
        assert torch.equal(torch.get_rng_state(), drawn)
        assert same(found, expected)
        assert same(model.state_dict(), plain.state_dict())
        assert_nothing_left(model)
        assert same(*(gradients(one, out) for one, out in ((plain, expected), (model, found))))
        recorded = recording.graph
        notes = [note for note in recorded.notes if "not used" not in note]
        assert notes == []
        assert_no_dangling(recorded)
        nodes = [node for node in recorded.nodes if node.op not in ENDS]
        assert [node.op for node in nodes] == [name for name, _ in executed.rows]
        for node, (_, paths) in zip(nodes, executed.rows, strict=True):
            assert layer_path(node.scope) in paths or "?" in paths or node.scope[0].name == "backward"
        parameters = list(inner(model).parameters())
        assert sum(node.params for node in recorded.nodes) == sum(one.numel() for one in parameters if one.requires_grad)
        assert sum("not used" in note for note in recorded.notes) == bool(unused)
        return recorded

    return run


@pytest.fixture
def check_graph():
    """A function that asserts what must hold for every graph: each input is an output of an earlier node."""
    return assert_no_dangling


def assert_no_dangling(recorded):
    for number, node in enumerate(recorded.nodes):
        for source, slot in node.inputs:
            assert 0 <= source < number
            assert slot < len(recorded.nodes[source].outputs)


def assert_nothing_left(model):
    assert not hooks._global_forward_hooks
    assert not hooks._global_forward_pre_hooks
    assert not any(module._forward_pre_hooks for module in model.modules())
    assert torch.overrides._len_torch_function_stack() == 0
    assert torch.utils._python_dispatch._len_torch_dispatch_stack() == 0


@pytest.fixture
def tracer(tmp_path):
    """A function `tracer(**request)` that makes PyTorch's tracer of a window; at the end of the test it is stopped."""
    made = []

    def make(level="default", *, memory=False, layers=True, python=False, names=None, host_only=False, snapshot=False):
        folder = tmp_path / f"raw{len(made)}"
        folder.mkdir()
        made.append(make_tracer(Request(str(folder), level, memory, layers, python, names, host_only, snapshot)))
        return made[-1]

    yield make
    for one in made:
        one.abort()


@pytest.fixture
def traced(tracer):
    """A function `traced(work, steps=1, **request)` that returns the ranges of a window in which `work(step)` was done."""

    def run(work, steps=1, **request):
        window = tracer(**request)
        window.prepare()
        window.start()
        for step in range(steps):
            window.step(step)
            work(step)
        return ranges_of(window.stop())

    return run


def ranges_of(raws):
    """Return the ranges of a trace, in the order of their beginning."""
    events = json.loads(Path(raws[0].path).read_text())["traceEvents"]
    found = [event for event in events if event.get("ph") == "X" and event.get("cat") in {"cpu_op", "user_annotation"}]
    return sorted(found, key=lambda event: (event["ts"], -event["dur"]))

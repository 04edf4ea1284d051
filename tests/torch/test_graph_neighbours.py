"""An observed model gets along with what else runs: threads, watches, hooks, transforms, and the compiler."""

import gc
import sys
import threading
import weakref

import pytest
import torch
import torch._dynamo.testing
from torch import nn
from torch.nn.modules import module as hooks

import multiboard as mb
import multiboard.torch as mbt

X = torch.ones(3, 4)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))


def modes():
    functions, operators = torch.overrides, torch.utils._python_dispatch
    return functions._get_current_function_mode_stack() + operators._get_current_dispatch_mode_stack()


def nothing_left():
    return not (modes() or hooks._global_forward_hooks or hooks._global_forward_pre_hooks)


class Calls(nn.Module):
    """Runs a function in the middle."""

    def __init__(self, function):
        super().__init__()
        self.dense, self.function = nn.Linear(4, 4), function

    def forward(self, x):
        x = self.dense(x)
        self.function()
        return self.dense(x)


def fail():
    raise ValueError


def test_a_model_that_is_armed_twice_raises_its_own_error():
    model = Calls(fail)
    recordings = [mbt.graph(model), mbt.graph(model)]
    with pytest.raises(ValueError):
        model(X)
    assert nothing_left()
    assert [recording.graph.notes for recording in recordings] == [("It ends where ValueError was raised.",)] * 2


def test_a_hook_of_the_user_that_comes_later_is_called_when_the_model_raises():
    called, handles = [], []

    def register_and_fail():
        handles.append(hooks.register_module_forward_hook(lambda *_: called.append(1), always_call=True))
        raise ValueError

    model = Calls(register_and_fail)
    mbt.graph(model)
    with pytest.raises(ValueError):
        model(X)
    assert len(called) == 1
    assert not modes()
    handles[0].remove()
    network()(X)
    assert nothing_left()


def test_of_threads_that_call_the_model_at_once_one_is_observed():
    model, left = network(), []
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(30):
            recording, barrier = mbt.graph(model), threading.Barrier(3)

            def call(barrier=barrier):
                barrier.wait()
                model(X)
                left.extend(modes())

            threads = [threading.Thread(target=call) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert sum(node.params for node in recording.graph.nodes) == 30
    finally:
        sys.setswitchinterval(interval)
    assert left == []
    assert nothing_left()


def test_a_handle_that_is_removed_in_another_thread_leaves_nothing():
    def remove():
        thread = threading.Thread(target=recording.remove)
        thread.start()
        thread.join()

    model = Calls(remove)
    recording = mbt.graph(model)
    model(X)
    assert nothing_left()
    assert recording.graph.nodes[-1].op == "Output"


def test_nothing_of_the_model_is_kept():
    gc.disable()
    try:
        model = network()
        recording = mbt.graph(model)
        model(X)
        assert weakref.getweakrefcount(model[0].weight) == 0  # one would forbid torch.utils.swap_tensors
        reference = weakref.ref(model)
        del model
        assert reference() is None
    finally:
        gc.enable()
    assert "nodes" in repr(recording)


def test_an_interrupted_call_is_let_go_when_another_model_is_called():
    def interrupt():
        raise KeyboardInterrupt

    model = Calls(interrupt)
    recording = mbt.graph(model)
    with pytest.raises(KeyboardInterrupt):
        model(X)
    network()(X)
    assert nothing_left()
    assert sum(node.params for node in recording.graph.nodes) == 20


def test_a_watch_and_a_graph_do_not_see_each_other(log_dir):
    def step(model, optimizer):
        optimizer.zero_grad()
        model(X).square().sum().backward()
        mbt.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    found = []
    for watched in (False, True):
        model = network()
        optimizer = torch.optim.Adam(model.parameters())
        run = mb.Run(log_dir / str(watched))
        if watched:
            mbt.watch(model, optimizer, run, every=1, activations=["*"], log=["params", "grads", "updates", "buffers"])
        with mbt.graph(model, backward=True) as recording:
            step(model, optimizer)
        run.close()
        found.append([(node.op, [frame.name for frame in node.scope]) for node in recording.graph.nodes])
    assert found[0] == found[1]
    assert "activations/0" in mb.read(log_dir / "True")["."].histograms


@pytest.mark.parametrize("transform", [torch.vmap, torch.func.jacrev], ids=["vmap", "jacrev"])
def test_under_a_transform_inputs_and_outputs_are_those_of_operators(transform, check_graph):
    model = network()
    plain = transform(model)(X)
    recording = mbt.graph(model)
    assert torch.equal(transform(model)(X), plain)
    check_graph(recording.graph)
    nodes = recording.graph.nodes
    assert [node.op for node in nodes if not node.scope] == ["Input", "Output"]
    assert not nodes[nodes[-1].inputs[0][0]].op.startswith("Input")
    assert any((0, 0) in node.inputs for node in nodes)


def test_parameters_that_a_function_is_given_are_those_of_the_model(check_graph):
    model = network()
    parameters = dict(model.named_parameters())
    recording = mbt.graph(model)
    torch.func.grad(lambda given: torch.func.functional_call(model, given, (X,)).sum())(parameters)
    check_graph(recording.graph)
    assert sum(node.params for node in recording.graph.nodes) == 30


@pytest.mark.parametrize("fullgraph", [True, False])
@pytest.mark.parametrize("way", ["function", "in place"])
def test_a_model_in_compiled_code_is_said_and_breaks_no_graph(way, fullgraph):
    torch.compiler.reset()
    counter = torch._dynamo.testing.CompileCounter()
    model = Calls(int)
    if way == "in place":
        model.compile(backend=counter, fullgraph=fullgraph)
        function = model
    else:
        function = torch.compile(lambda x: model(x) + 1, backend=counter, fullgraph=fullgraph)
    with pytest.warns(mb.MultiboardWarning, match="pass the compiled model instead, or observe a block") as said:
        recording = mbt.graph(model)
        function(X)
        function(X)
    assert len(said) == 1
    assert counter.frame_count == 1
    assert recording.graph is None
    recording.remove()
    torch.compiler.reset()


@pytest.mark.filterwarnings("ignore")  # of torch.jit and of tensors without strides
def test_a_model_that_takes_no_hooks_is_said(log_dir):
    with mb.Run(log_dir) as run, pytest.warns(mb.MultiboardWarning, match="no graph of RecursiveScriptModule"):
        mbt.graph(torch.jit.script(network()), run)
    traced = torch.jit.trace(network(), X)
    recording = mbt.graph(traced)
    traced(X)
    assert nothing_left()
    assert recording.graph.nodes[-1].op == "Output"


@pytest.mark.filterwarnings("ignore")  # of tensors without strides
@pytest.mark.parametrize("kind", ["without values", "sparse", "inference", "NaN"])
def test_an_example_leaves_buffers_of_any_kind_alone(kind):
    with torch.inference_mode(mode=kind == "inference"):
        model = network()
        buffer = {
            "without values": lambda: torch.ones(2, device="meta"),
            "sparse": lambda: torch.eye(3).to_sparse(),
            "inference": lambda: torch.ones(2),
            "NaN": lambda: torch.tensor([float("nan")]),
        }[kind]()
        model.register_buffer("buffer", buffer)
    version = None if kind == "inference" else buffer._version
    recording = mbt.graph(model, example=X)
    assert recording.graph.notes == ("Of shapes only: nothing was computed.",)
    assert version is None or buffer._version == version


def test_a_container_that_computes_what_it_holds_is_not_asked():
    from collections.abc import Sequence

    class Drawn(Sequence):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return torch.rand(3, 4)

    class Takes(nn.Module):
        def forward(self, drawn):
            return drawn[0] * 2

    torch.manual_seed(0)
    plain = Takes()(Drawn())
    torch.manual_seed(0)
    model = Takes()
    recording = mbt.graph(model)
    assert torch.equal(model(Drawn()), plain)
    assert recording.graph.nodes[-1].op == "Output"

"""An armed model is observed once, whatever happens, and then is as it was."""

import copy
import gc
import pickle
import threading
import weakref

import pytest
import torch
import torch._dynamo.testing
from torch import nn
from torch.nn.modules import module as hooks
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import multiboard as mb
import multiboard.torch as mbt

X = torch.ones(3, 4)


def network():
    return nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))


def modes():
    functions, operators = torch.overrides, torch.utils._python_dispatch
    return functions._get_current_function_mode_stack() + operators._get_current_dispatch_mode_stack()


def nothing_left(model):
    own = any(module._forward_pre_hooks or module._forward_hooks for module in model.modules())
    flagged = torch.utils._python_dispatch.is_in_torch_dispatch_mode()
    return not (own or flagged or hooks._global_forward_hooks or hooks._global_forward_pre_hooks or modes())


class Failing(nn.Module):
    def __init__(self, error):
        super().__init__()
        self.dense, self.error = nn.Linear(4, 4), error

    def forward(self, x):
        x = self.dense(x)
        if self.error is not None:
            raise self.error
        return x


def test_only_the_next_call_is_observed(log_dir, written):
    model = network()
    with mb.Run(log_dir) as run:
        recording = mbt.graph(model, run)
        assert recording.graph is None
        model(X)
        found = recording.graph
        assert nothing_left(model)
        model(X)
    assert recording.graph is found
    assert set(written().graphs) == {"Default", "layer", "api", "op", "flops"}
    assert "Tanh" in written().texts["graph/summary"].value[0]


def test_the_handle_need_not_be_kept_and_a_copy_of_the_model_is_not_observed():
    model = network()
    recording = mbt.graph(model)
    copied = copy.deepcopy(model)
    copied(X)
    assert pickle.loads(pickle.dumps(recording)) is None  # noqa: S301
    assert recording.graph is None
    recording = weakref.ref(recording)
    gc.collect()
    model(X)
    assert nothing_left(model)


def test_removing_before_the_call_observes_nothing():
    model = network()
    with mbt.graph(model) as recording:
        pass
    model(X)
    recording.remove()
    assert recording.graph is None
    assert nothing_left(model)


def test_the_graph_of_a_call_that_raises_ends_there(log_dir, written):
    model = Failing(ValueError("of the model"))
    with mb.Run(log_dir) as run:
        recording = mbt.graph(model, run)
        with pytest.raises(ValueError, match="of the model"):
            model(X)
    assert nothing_left(model)
    assert recording.graph.notes == ("It ends where ValueError was raised.",)
    assert [node.op for node in recording.graph.nodes if node.flops] == ["aten::addmm"]
    assert "layer" in written().graphs


def test_a_call_while_an_error_is_handled_is_not_taken_for_one_that_raises():
    model = network()
    recording = mbt.graph(model)
    try:
        raise KeyError  # noqa: TRY301
    except KeyError:
        model(X)
    assert recording.graph.notes == ()
    assert recording.graph.nodes[-1].op == "Output"


def test_an_interrupted_call_is_let_go_at_the_next_one():
    model = Failing(KeyboardInterrupt())
    recording = mbt.graph(model)
    with pytest.raises(KeyboardInterrupt):
        model(X)
    model.error = None
    model(X)
    assert nothing_left(model)
    assert recording.graph.notes == ("The call was interrupted.",)


def test_an_interrupted_call_records_nothing_that_runs_long_after_it():
    model, other = Failing(KeyboardInterrupt()), network()
    recording = mbt.graph(model)
    with pytest.raises(KeyboardInterrupt):
        model(X)
    for _ in range(300):
        torch.add(X, 1)
    recorded = len(recording._observer.recorder.nodes)
    other(X)
    assert nothing_left(model)
    assert recorded < 300


def test_modes_of_the_user_stay_where_they_are():
    class Own(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            return func(*args, **(kwargs or {}))

    class OwnFunctions(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            return func(*args, **(kwargs or {}))

    own = [Own(), OwnFunctions()]

    class Enters(nn.Module):
        def __init__(self):
            super().__init__()
            self.dense = nn.Linear(4, 4)

        def forward(self, x):
            for mode in own:
                mode.__enter__()
            return self.dense(x)

    model = Enters()
    recording = mbt.graph(model)
    with torch.device("meta"):
        model(X)
        assert torch.ones(2).device.type == "meta"
        left = modes()
        for mode in reversed(own):
            mode.__exit__(None, None, None)
    assert all(mode in left for mode in own)
    assert len(left) == 3
    assert torch.ones(2).device.type == "cpu"
    assert nothing_left(model)
    assert recording.graph.nodes[-1].op == "Output"


def test_activations_are_freed_when_they_are_without_the_graph():
    class Keeps(nn.Module):
        def __init__(self):
            super().__init__()
            self.dense, self.alive = nn.Linear(4, 4), []

        def forward(self, x):
            with torch.no_grad():
                y = self.dense(x)
                reference = weakref.ref(y)
                z = y.sum()
                del y
                self.alive.append(reference())
                return z

    model = Keeps()
    mbt.graph(model)
    model(X)
    assert model.alive == [None]


def test_other_threads_are_not_observed():
    model, other, out = network(), nn.Linear(7, 7), []

    class Waits(nn.Module):
        def forward(self, x):
            thread = threading.Thread(target=lambda: out.append(other(torch.ones(1, 7))))
            thread.start()
            thread.join()
            return x + 1

    model.append(Waits())
    recording = mbt.graph(model)
    model(X)
    assert len(out) == 1
    assert not any(node.params == 49 for node in recording.graph.nodes)
    assert nothing_left(model)


def test_the_model_inside_a_compiled_one_is_left_alone_and_that_is_said_once():
    torch.compiler.reset()
    model = network()
    compiled = torch.compile(model, backend="eager")
    recording = mbt.graph(model)
    with pytest.warns(mb.MultiboardWarning, match="pass the compiled model") as said:
        found = compiled(X)
    assert torch.equal(found, compiled(X))
    assert len(said) == 1
    assert recording.graph is None
    recording.remove()
    torch.compiler.reset()


def test_a_model_that_is_compiled_already_is_observed_and_stays_compiled():
    torch.compiler.reset()
    counter = torch._dynamo.testing.CompileCounter()
    model = torch.compile(network(), backend=counter)
    expected = model(X)
    recording = mbt.graph(model)
    assert torch.equal(model(X), expected)
    assert torch.equal(model(X), expected)
    assert counter.frame_count == 1
    assert [node.name for node in recording.graph.nodes if node.op == "Input"] == ["input"]
    assert sum(node.params for node in recording.graph.nodes) == 30
    torch.compiler.reset()


def test_what_runs_after_the_call_is_not_in_the_graph():
    model = network()
    recording = mbt.graph(model)
    model(X).sum().backward()
    assert [node.op for node in recording.graph.nodes if not node.scope] == ["Input", "Output"]


def test_times_are_those_of_operators_on_the_cpu_unless_they_are_not_wanted():
    for timing in (True, False):
        model = network()
        recording = mbt.graph(model, timing=timing)
        model(X)
        assert (sum(node.us for node in recording.graph.nodes) > 0) is timing


def test_only_operators_on_the_cpu_have_a_time():
    with torch.device("meta"):
        model, x = network(), torch.ones(3, 4)
    recording = mbt.graph(model)
    model(x)
    assert {node.device for node in recording.graph.nodes} == {"meta"}
    assert sum(node.us for node in recording.graph.nodes) == 0


def test_a_model_and_a_part_of_it_may_be_observed_in_the_same_call_and_each_twice():
    model = network()
    plain, compile_ = model(X), torch.compile
    torch.compiler.reset()  # loads the compiler
    recordings = [mbt.graph(one) for one in (model, model, model[0], model[0])]
    assert torch.equal(model(X), plain)
    assert nothing_left(model)
    assert torch.compile is compile_
    assert torch._dynamo.eval_frame._stance.stance == "default"
    whole, again, part, part_again = (recording.graph for recording in recordings)
    assert [node.op for node in whole.nodes] == [node.op for node in again.nodes]
    assert [node.op for node in part.nodes] == [node.op for node in part_again.nodes]
    assert [node.op for node in part.nodes if node.flops] == ["aten::addmm"]
    assert [node.op for node in whole.nodes if node.flops] == ["aten::addmm"] * 2
    assert all(graph.notes == () for graph in (whole, again, part, part_again))


def test_an_example_inside_an_observed_call_does_not_disturb_it():
    class Asks(nn.Module):
        def __init__(self):
            super().__init__()
            self.dense, self.asked = nn.Linear(4, 4), []

        def forward(self, x):
            self.asked.append(mbt.graph(nn.Linear(4, 2), example=x).graph)
            return self.dense(x)

    model = Asks()
    recording = mbt.graph(model)
    model(X)
    assert nothing_left(model)
    assert recording.graph.nodes[-1].op == "Output"
    assert sum(node.params for node in model.asked[0].nodes) == 10


def test_the_step_is_that_of_the_watch_of_the_model(log_dir):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run):
        for step in range(3):
            recording = mbt.graph(model) if step == 2 else None
            model(X).sum().backward()
            optimizer.step()
    assert recording.graph.step == 2


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"model": "model"}, "torch.nn.Module"),
        ({"run": "runs/first"}, "multiboard.Run"),
        ({"backward": 1}, "True or False"),
        ({"fake": True, "backward": True}, "needs values"),
    ],
)
def test_wrong_arguments_are_said_at_once(arguments, match):
    with pytest.raises(mb.ArgumentError, match=match):
        mbt.graph(**{"model": network(), **arguments})

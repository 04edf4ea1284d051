"""A watch writes the table of the layers at the first update, in the order of their calls, and leaves nothing behind."""

import copy
import io
import json

import pytest
import torch
from torch import nn

import multiboard as mb
import multiboard.torch as mbt
from multiboard.compare.layer_table import logged_rows
from multiboard.transforms import canonical
from multiboard_torch import _compat
from multiboard_torch.layer_info import layer_rows, transform


class Late(nn.Module):
    """Its layers are defined in another order than they are called; one of them is never called."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(8, 2)
        self.spare = nn.Linear(8, 8)
        self.attn = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = nn.BatchNorm1d(8)
        self.words = nn.Embedding(5, 8)

    def forward(self, tokens):
        x = self.words(tokens)
        x = self.attn(x, x, x, need_weights=False)[0].mean(1)
        return self.head(self.norm(x))


class Stack(nn.Module):
    def __init__(self):
        super().__init__()
        self.out, self.words = nn.Linear(8, 2), nn.Embedding(5, 8)

    def forward(self, tokens):
        return self.out(self.words(tokens).relu())


TOKENS = torch.arange(12).reshape(4, 3) % 5


def update(model, optimizer):
    optimizer.zero_grad()
    model(TOKENS).square().mean().backward()
    optimizer.step()


@pytest.fixture
def watched(log_dir, written):
    """A function that makes updates of a model that is watched, and returns its layer table."""

    def train(model, call=None, updates=1, clip=None, **options):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, **options):
            for _ in range(updates):
                (model if call is None else call)(TOKENS).square().mean().backward()
                if clip is not None:
                    mbt.clip_grad_norm_(model.parameters(), clip)
                optimizer.step()
        return logged_rows(written())

    return train


def hooks(model):
    return sum(len(module._forward_pre_hooks) for module in model.modules())


def test_layers_are_numbered_in_the_order_of_their_calls(watched):
    table = watched(Late())
    order = {layer.path: layer.order for layer in table.layers}
    assert sorted(filter(order.get, order), key=order.get) == ["attn", "attn/out_proj", "norm", "head"]
    assert (order["words"], order["spare"], table.order_from, table.framework) == (0, None, "calls", "torch")


def test_roles_have_native_names_shapes_types_and_what_is_trained(watched):
    model = Late()
    model.words.weight.requires_grad_(False)
    roles = {role.tag: role for layer in watched(model).layers for role in layer.roles}
    assert roles["head/kernel"]._asdict() == {
        "name": "kernel", "tag": "head/kernel", "native": "head.weight", "shape": (2, 8), "transform": "transpose 1 0",
        "dtype": "float32", "trainable": True,
    }  # fmt: skip
    assert roles["attn/in_proj_weight"].transform == "transpose 1 0, thirds"
    assert roles["attn/in_proj_weight"].canonical == (8, 24)
    assert {tag for tag, role in roles.items() if not role.trainable} == {"words/embedding", "norm/mean", "norm/var"}


def test_tags_of_the_table_are_those_of_the_histograms(watched, written):
    table = watched(Late(), log=("params", "buffers"))
    tags = {role.tag for layer in table.layers for role in layer.roles}
    assert tags == {tag.partition("/")[2] for tag in written().histograms}


def test_the_table_is_written_with_norms_alone_and_once(watched, written):
    watched(Late(), updates=5, every=2, histograms=False)
    assert written().tensors["multiboard/run_info"].step.tolist() == [0]
    assert not written().histograms


def test_the_table_is_there_before_the_first_capture(watched, written):
    watched(Late(), updates=4, every=3, start_step=2)
    assert written().tensors["multiboard/run_info"].step.tolist() == [2]


def test_the_stage_of_gradients_is_told(watched):
    assert watched(Late()).gradients == "as the optimizer gets it"


def test_clipping_is_told_with_its_norm(watched):
    assert watched(Late(), clip=0.5).gradients == "after clipping (to a norm of 0.5)"


def test_no_hook_is_left_after_the_first_update(log_dir):
    model = Late()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=100):
        assert hooks(model)
        update(model, optimizer)
        assert not hooks(model)


def test_no_hook_is_left_by_a_watch_that_is_removed_before(log_dir):
    model = Late()
    with mb.Run(log_dir) as run:
        mbt.watch(model, torch.optim.SGD(model.parameters(), lr=0.1), run).remove()
    assert not hooks(model)


def test_copies_of_a_watched_model_note_nothing(log_dir):
    model = Late()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run) as watching:
        saved = io.BytesIO()
        torch.save(model, saved)
        saved.seek(0)
        for other in (copy.deepcopy(model), torch.load(saved, weights_only=False)):
            other(TOKENS)
        assert watching._calls.order == []


@pytest.fixture
def compilations():
    """The backend of a compiler, and a list that gets an entry for each compilation."""
    torch._dynamo.reset()
    made = []

    def backend(graph, _):
        made.append(graph)
        return graph.forward

    yield backend, made
    torch._dynamo.reset()


@pytest.mark.parametrize("when", ["before", "after", "in place", "step"])
def test_a_compiled_model_is_compiled_once_and_told_in_the_order_of_its_definition(watched, compilations, when):
    backend, made = compilations
    model = Stack()
    watch_this, call = model, None
    if when == "before":
        watch_this = torch.compile(model, backend=backend, fullgraph=True)
    elif when == "after":
        call = torch.compile(model, backend=backend, fullgraph=True)
    elif when == "in place":
        model.compile(backend=backend, fullgraph=True)
    else:
        call = torch.compile(lambda x: model(x) * 2, backend=backend, fullgraph=True)
    table = watched(watch_this, call, updates=4, every=100)
    assert len(made) == 1
    assert table.order_from == "definition"
    assert [layer.path for layer in table.layers] == ["out", "words"]


def test_a_compiler_that_does_not_tell_when_it_begins_compiles_once_more(watched, compilations, monkeypatch):
    backend, made = compilations
    monkeypatch.setattr(torch._dynamo.callback_handler, "start_callbacks", ())
    model = Stack()
    table = watched(model, torch.compile(model, backend=backend), updates=4, every=100)
    assert len(made) == 2
    assert [layer.path for layer in table.layers] == ["out", "words"]


def test_a_compiler_that_does_not_tell_what_it_compiles_compiles_once(watched, compilations, monkeypatch):
    backend, made = compilations
    handler = torch._dynamo.callback_handler
    monkeypatch.setattr(handler, "run_start_callbacks", lambda *_: [callback() for callback in handler.start_callbacks])
    model = Stack()
    watched(model, torch.compile(model, backend=backend), updates=4, every=100)
    assert len(made) == 1


def test_a_callback_is_forgotten_with_the_first_update(watched):
    torch._dynamo.reset()
    before = len(torch._dynamo.callback_handler.start_callbacks)
    watched(Late())
    assert len(torch._dynamo.callback_handler.start_callbacks) == before
    _compat.before_compiling(print)()
    assert len(torch._dynamo.callback_handler.start_callbacks) == before


def test_two_models_of_one_run_share_the_table(log_dir, written):
    models = nn.ModuleDict({"generator": nn.Linear(3, 2)}), nn.ModuleDict({"critic": nn.Linear(2, 1)})
    optimizers = [torch.optim.SGD(model.parameters(), lr=0.1) for model in models]
    with mb.Run(log_dir) as run:
        watches = [mbt.watch(model, optimizer, run) for model, optimizer in zip(models, optimizers, strict=True)]
        for model, optimizer in zip(models, optimizers, strict=True):
            next(iter(model.values()))(torch.ones(1, next(model.parameters()).shape[1])).sum().backward()
            optimizer.step()
        for watching in watches:
            watching.remove()
    assert [(layer.path, layer.order) for layer in logged_rows(written()).layers] == [("generator", 0), ("critic", 1)]


def test_an_aligned_run_has_the_names_of_the_other(tmp_path):
    for name, options in (("first", {}), ("second", {"align_to": tmp_path / "first"})):
        sizes = {"first": ("stem", "head"), "second": ("a", "b")}[name]
        model = nn.Sequential()
        for part, size in zip(sizes, ((4, 8), (8, 2)), strict=True):
            model.add_module(part, nn.Linear(*size))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with mb.Run(tmp_path / name, **options) as run, mbt.watch(model, optimizer, run, activations="*"):
            model(torch.ones(1, 4)).sum().backward()
            optimizer.step()
    runs = mb.read(tmp_path)
    assert runs["second"].histograms.keys() == runs["first"].histograms.keys()
    assert {"activations/stem", "params/head/bias"} <= runs["second"].histograms.keys()


LAYOUTS = {
    "linear": (lambda: nn.Linear(3, 5), (3, 5)),
    "conv1d": (lambda: nn.Conv1d(3, 5, 4), (4, 3, 5)),
    "conv2d": (lambda: nn.Conv2d(4, 6, (2, 3), groups=2), (2, 3, 2, 6)),
    "up": (lambda: nn.ConvTranspose2d(3, 5, (2, 4)), (2, 4, 3, 5)),
    "embedding": (lambda: nn.Embedding(7, 4), (7, 4)),
    "norm": (lambda: nn.LayerNorm((2, 3)), (2, 3)),
    "bilinear": (lambda: nn.Bilinear(2, 3, 4), (4, 2, 3)),
    "parametrized": (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(3, 5)), (1, 5)),
    "recurrent": (lambda: nn.LSTM(3, 5), (3, 20)),
    "gated": (lambda: nn.GRU(3, 5), (3, 15)),
}


@pytest.mark.parametrize(("make", "shape"), LAYOUTS.values(), ids=LAYOUTS)
def test_the_class_decides_how_a_tensor_lies(make, shape):
    table = layer_rows(nn.ModuleDict({"one": make()}))
    role = table.layers[0].roles[0] if table.layers[0].roles[0].name != "bias" else table.layers[0].roles[1]
    assert role.canonical == shape


def test_a_transposed_convolution_is_the_gradient_of_the_one_with_the_same_compared_kernel():
    up, down = nn.ConvTranspose2d(3, 5, 2, stride=2, bias=False), nn.Conv2d(5, 3, 2, stride=2, bias=False)
    kernel = canonical(up.weight.detach().numpy(), transform(up, "kernel", 4))
    down.weight.data = torch.tensor(kernel.transpose(2, 3, 0, 1).copy())
    x, y = torch.randn(1, 3, 4, 4), torch.randn(1, 5, 8, 8)
    assert torch.allclose((up(x) * y).sum(), (down(y) * x).sum(), rtol=1e-4)


def test_a_lazy_layer_without_parameters_has_no_shape():
    (layer,) = layer_rows(nn.Sequential(nn.LazyLinear(3))).layers
    assert [role.shape for role in layer.roles] == [None, None]


def test_wrappers_are_no_layers(watched):
    table = watched(nn.DataParallel(Late()))
    assert json.loads(table.to_json())["layers"][0]["path"] == "head"

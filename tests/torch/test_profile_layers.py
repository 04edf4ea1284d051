"""Every layer that is called has a range in the trace, with the path that the uniform tags give it."""

import gc
import re
import warnings
import weakref

import pytest
import torch
from torch import nn
from torch.nn.modules import module as hooks
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint

from multiboard_torch.layers import named_parameters
from multiboard_torch.profile_layers import PREFIX, ModelNames


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.norm = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)
        self.head = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))

    def forward(self, x):
        return self.head(self.norm(self.conv1(x)).mean((2, 3)))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.attn = nn.LayerNorm(8), nn.ModuleDict({"qkv": nn.Linear(8, 24), "out": nn.Linear(8, 8)})

    def forward(self, x):
        q, k, v = self.attn["qkv"](self.norm(x)).chunk(3, -1)
        return x + self.attn["out"](nn.functional.scaled_dot_product_attention(q, k, v))


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 8)
        self.blocks = nn.ModuleList([Block(), Block()])
        self.again = self.blocks[1]
        self.out = parametrizations.weight_norm(nn.Linear(8, 11))

    def forward(self, x):
        x = self.embed(x)
        for block in (*self.blocks, self.again):
            x = block(x)
        return self.out(x)


IMAGES, WORDS = torch.randn(2, 1, 8, 8), torch.arange(10).reshape(2, 5)


def layers(ranges):
    """Return the paths of layers in the order of their calls."""
    return [one["name"].removeprefix(PREFIX) for one in ranges if one["name"].startswith(PREFIX)]


def tagged(model):
    """Return the layers of the uniform tags."""
    return {re.split("/(?:kernel|bias|scale|embedding)(?:/|$)", named.path)[0] for named in named_parameters(model)}


@pytest.fixture
def in_a_group(tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize(("make", "x"), [(Cnn, IMAGES), (Transformer, WORDS)])
def test_layers_are_called_as_in_the_tags(make, x, traced):
    model = make()
    called = set(layers(traced(lambda _: model(x).sum().backward())))
    assert tagged(model) < called
    assert called - tagged(model) <= {"head", "head/1", "blocks/0", "blocks/1"}  # have no parameters of their own


def test_one_call_has_one_range_each(traced):
    model = Transformer()
    block = ["blocks/{}", "blocks/{}/norm", "blocks/{}/attn/qkv", "blocks/{}/attn/out"]
    expected = ["embed", *(path.format(number) for number in (0, 1, 1) for path in block), "out"]
    assert layers(traced(lambda _: model(WORDS), steps=2)) == expected * 2


@pytest.mark.usefixtures("in_a_group")
def test_wrappers_do_not_show(traced):
    plain, wrapped = Cnn(), nn.parallel.DistributedDataParallel(Cnn())
    assert layers(traced(lambda _: wrapped(IMAGES).sum().backward())) == layers(traced(lambda _: plain(IMAGES)))


def test_a_model_whose_parts_are_called_alone_has_its_names_if_it_is_known(traced):
    model = Cnn()
    work = lambda _: model.head(model.conv1(IMAGES).mean((2, 3)))  # noqa: E731
    assert layers(traced(work, names=ModelNames(model))) == ["conv1", "head", "head/0", "head/1", "head/2"]
    assert layers(traced(work)) == ["0", "1", "2"]


@pytest.mark.parametrize("reentrant", [True, False])
def test_what_checkpointing_runs_again_has_the_name_that_it_had_before(reentrant, traced):
    class Saving(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(4, 4), nn.Tanh()) for _ in range(2)])

        def forward(self, x):
            for block in self.blocks:
                x = checkpoint(block, x, use_reentrant=reentrant)
            return x

    model, x = Saving(), torch.ones(1, 4, requires_grad=True)
    blocks = [[f"blocks/{number}", f"blocks/{number}/0", f"blocks/{number}/1"] for number in range(2)]
    forward, again = blocks[0] + blocks[1], blocks[1] + blocks[0]
    assert layers(traced(lambda _: model(x).sum().backward())) == forward + again


def test_a_layer_that_is_replaced_later_has_its_name_too(traced):
    model = Cnn()
    names = ModelNames(model)
    before = layers(traced(lambda _: model(IMAGES), names=names))
    model.head[2] = nn.Sequential(nn.Linear(4, 2))
    assert layers(traced(lambda _: model.head(torch.ones(1, 4)), names=names)) == [*before[2:], "head/2/0"]


def test_who_knows_better_is_asked_first(traced):
    model = Cnn()
    better = {model.conv1: "stem", model.head: ""}
    assert layers(traced(lambda _: model(IMAGES), names=better.get)) == ["stem", "norm", "head/0", "head/1", "head/2"]


def test_a_module_that_is_not_registered_has_no_range(traced):
    model = nn.Sequential(nn.Linear(2, 2))
    model[0].register_forward_hook(lambda _module, _args, out: nn.Tanh()(out))
    assert layers(traced(lambda _: model(torch.ones(1, 2)))) == ["0"]


def test_an_exception_leaves_no_range_open(traced):
    class Failing(nn.Module):
        def forward(self, x):
            raise ValueError(x)

    model = nn.Sequential(nn.Sequential(Failing()), nn.Linear(2, 2))

    def work(step):
        if step == 0:
            with pytest.raises(ValueError, match="tensor"):
                model(torch.ones(1, 2))
        else:
            model[1](torch.ones(1, 2))

    ranges = traced(work, steps=2, names=ModelNames(model))
    assert layers(ranges) == ["0", "0/0", "1"]
    spans = {one["name"]: (one["ts"], one["ts"] + one["dur"]) for one in ranges}
    assert spans["mb.module:0"][1] <= spans["mb.step:1"][0]


def test_ranges_nest_in_the_steps(traced):
    model, open_until = Transformer(), []
    for one in traced(lambda _: model(WORDS), steps=2):
        start, end = one["ts"], one["ts"] + one["dur"]
        while open_until and open_until[-1] <= start:
            open_until.pop()
        assert not open_until or end <= open_until[-1], one["name"]
        open_until.append(end)


def test_no_model_is_kept_alive(tracer):
    window = tracer(names=ModelNames(model := Cnn()))
    window.start()
    model(IMAGES)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None
    window.stop()


def test_nothing_is_left_behind(traced):
    before = list(warnings.filters)
    traced(lambda _: Cnn()(IMAGES))
    assert not hooks._global_forward_hooks
    assert not hooks._global_forward_pre_hooks
    assert warnings.filters == before


def test_without_layers_there_are_no_hooks(traced):
    assert layers(traced(lambda _: Cnn()(IMAGES), layers=False)) == []


def test_names_that_raise_do_not_end_a_training(tracer):
    window = tracer(names=lambda module: module.no_such_thing)
    window.start()
    window.step(0)
    model = Cnn()
    model(IMAGES)
    (raw,) = window.stop()
    assert "AttributeError" in raw.facts["notes"][0]


COMPILED = {
    "a module": lambda model, backend: torch.compile(model, backend=backend),
    "in place": lambda model, backend: model.compile(backend=backend) or model,
    "a part": lambda model, backend: setattr(model, "conv1", torch.compile(model.conv1, backend=backend)) or model,
    "a function": lambda model, backend: torch.compile(lambda x: model(x).sum(), backend=backend),
}


@pytest.mark.parametrize("way", COMPILED)
def test_a_window_compiles_nothing_again(way, traced):
    torch.compiler.reset()
    compiled = []

    def backend(module, _):
        compiled.append(module)
        return module

    model = COMPILED[way](Cnn(), backend)
    for _ in range(2):
        model(IMAGES)
    before = len(compiled)
    found = layers(traced(lambda _: model(IMAGES), steps=3))
    model(IMAGES)
    assert len(compiled) == before > 0
    assert set(found) == ({"conv1", "norm", "head", "head/0", "head/1", "head/2"} if way == "a part" else set())
    torch.compiler.reset()


def test_the_paths_are_among_the_facts(tracer):
    window = tracer()
    window.start()
    Cnn()(IMAGES)
    assert window.stop()[0].facts["layers"] == ["conv1", "norm", "head", "head/0", "head/1", "head/2"]


@pytest.mark.parametrize("way", COMPILED)
def test_what_is_compiled_in_a_window_is_the_same_and_stays(way, traced):
    def compiled(window):
        torch.compiler.reset()
        graphs = []

        def backend(module, _):
            graphs.append(module.code)
            return module

        model = COMPILED[way](Cnn(), backend)
        window(lambda _: model(IMAGES))
        model(IMAGES)
        return graphs

    assert compiled(lambda work: traced(work, steps=2)) == compiled(lambda work: work(0)) != []
    torch.compiler.reset()


def test_layers_are_seen_again_after_something_was_compiled(traced):
    torch.compiler.reset()
    model = Cnn()
    model.conv1 = torch.compile(model.conv1, backend="eager")
    called = ["conv1", "norm", "head", "head/0", "head/1", "head/2"]
    assert layers(traced(lambda _: model(IMAGES), steps=2)) == called * 2
    torch.compiler.reset()

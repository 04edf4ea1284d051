"""`align_to` writes layers under the names of another run where it is sure, and says once where it is not."""

import warnings

import numpy as np
import pytest

import multiboard as mb
from multiboard.buckets import measure
from multiboard.compare.layer_table import layer_table, logged_rows
from multiboard.errors import ArgumentError, MultiboardWarning
from multiboard.layer_rows import LayerRow, LayerRows, RoleRow
from multiboard.transforms import IDENTITY, THIRDS, then, transpose
from multiboard.values import Capture, MeasuredBatch


def kernel(path, shape, transform=IDENTITY, name="kernel"):
    return RoleRow(name, f"{path}/{name}", path.replace("/", "."), shape, transform, "float32")


def layer(path, order, *shape, cls="Dense"):
    return LayerRow(path, cls, order, (kernel(path, shape),))


TORCH = LayerRows("torch", (layer("stem", 0, 3, 8), layer("body", 1, 8, 9), layer("head", 2, 9, 2)))


class Batch:
    """As many rows of statistics as there are tags."""

    def __init__(self, count):
        self.count = count

    def fetch(self):
        found = measure(np.ones(3, np.float32))
        rows = (found.counts, found.specials, np.float32(found.moments))
        return MeasuredBatch(*(np.repeat(row[None], self.count, 0) for row in rows))


def capture(*tags, step=0, **options):
    return Capture(tags, Batch(len(tags)), step, 0.0, {tag: f"`{tag}`" for tag in tags}, **options)


@pytest.fixture
def other(tmp_path):
    """A function that writes the layer table of another run and returns its directory."""

    def write(table=TORCH):
        with mb.Run(tmp_path / "other", facts=False) as run:
            run.describe_layers(table, 0)
        return tmp_path / "other"

    return write


@pytest.fixture
def aligned(tmp_path, other):
    """A function that logs captures with a table in a run that is aligned to another one, and returns what it holds."""

    def write(table, *captures, theirs=TORCH):
        with mb.Run(tmp_path / "run", facts=False, align_to=other(theirs)) as run:
            if table is not None:
                run.describe_layers(table, 0)
            for one in captures:
                run.capture(one)
        return mb.read(tmp_path / "run")["."]

    return write


FLAX = LayerRows("jax", (layer("Dense_0", 0, 3, 8), layer("Dense_1", 1, 8, 9), layer("Dense_2", 2, 9, 2)))


def test_all_kinds_of_captures_have_the_other_names(aligned):
    groups = ("params", "grads", "updates", "buffers")
    tags = [f"{group}/Dense_1/kernel" for group in groups]
    run = aligned(FLAX, capture(*tags, "activations/Dense_1", "activations/Dense_1#1", "optimizer_state/Dense_1/kernel/momentum"))
    assert set(run.histograms) == {f"{group}/body/kernel" for group in groups} | {
        "activations/body", "activations/body#1", "optimizer_state/body/kernel/momentum"
    }  # fmt: skip
    assert {"norm/params/body/kernel", "update_ratio/body/kernel", "norm/activations/body"} <= run.scalars.keys()
    assert not [tag for tag in run.scalars if "Dense" in tag]
    assert run.histograms["grads/body/kernel"].description == "`grads/Dense_1/kernel`"


def test_norms_alone_have_the_other_names(aligned):
    run = aligned(FLAX, capture("params/Dense_1/kernel", histograms=False))
    assert "norm/params/body/kernel" in run.scalars
    assert not run.histograms


def test_tags_that_are_of_no_layer_stay(aligned):
    run = aligned(FLAX, capture("debug/Dense_1", "params/unknown/kernel"))
    assert set(run.histograms) == {"debug/Dense_1", "params/unknown/kernel"}


def test_what_is_only_a_guess_keeps_its_name_and_is_said_once(aligned):
    twins = LayerRows("jax", (layer("Dense_0", None, 4, 4), layer("Dense_1", None, 4, 4)))
    theirs = LayerRows("torch", (layer("left", None, 4, 4), layer("right", None, 4, 4)))
    captures = [capture("params/Dense_0/kernel", "params/Dense_1/kernel", step=step) for step in range(3)]
    with pytest.warns(MultiboardWarning, match=r"layers 'Dense_0', 'Dense_1' keep their own names: nothing in 'other'") as said:
        run = aligned(twins, *captures, theirs=theirs)
    assert len(said) == 1
    assert set(run.histograms) == {"params/Dense_0/kernel", "params/Dense_1/kernel"}


def test_a_layer_whose_own_name_another_one_gets_is_told_apart(aligned):
    ours = LayerRows("jax", (layer("head", 0, 3, 8), layer("body", 1, 8, 9), layer("stem", 2, 9, 2), layer("more", 3, 5, 5)))
    theirs = TORCH._replace(layers=(*TORCH.layers, layer("more", 3, 7, 7)))
    tags = [f"params/{name}/kernel" for name in ("head", "body", "stem", "more")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MultiboardWarning)
        run = aligned(ours, capture(*tags), theirs=theirs)
    assert len(run.histograms) == 4
    own = {one.own or one.path: one.path for one in logged_rows(run).layers}
    assert len(set(own.values())) == 4


def test_fused_parts_keep_their_names_and_the_rest_is_aligned(aligned):
    fused = LayerRow("attn", "MultiheadAttention", 0, (kernel("attn", (24, 8), then(transpose(1, 0), THIRDS), "in_proj_weight"),))
    theirs = LayerRows("torch", (fused, layer("attn/out_proj", 1, 8, 8), layer("head", 2, 8, 2)))
    parts = [layer(f"MHA_0/{name}", number, 8, 8) for number, name in enumerate(("query", "key", "value", "out"))]
    ours = LayerRows("jax", (*parts, layer("Dense_0", 5, 8, 2)))
    with pytest.warns(MultiboardWarning, match="'MHA_0/query', 'MHA_0/key', 'MHA_0/value' keep their own names"):
        run = aligned(ours, capture(*(f"params/{one.path}/kernel" for one in ours.layers)), theirs=theirs)
    assert set(run.histograms) == {
        "params/MHA_0/query/kernel", "params/MHA_0/key/kernel", "params/MHA_0/value/kernel", "params/attn/out_proj/kernel",
        "params/head/kernel",
    }  # fmt: skip


def test_names_that_were_given_stay_when_more_layers_come(tmp_path, other):
    with mb.Run(tmp_path / "run", facts=False, align_to=other()) as run:
        run.describe_layers(FLAX._replace(layers=FLAX.layers[:2]), 0)
        run.capture(capture("params/Dense_1/kernel"))
        run.describe_layers(FLAX, 1)
        run.capture(capture("params/Dense_1/kernel", "params/Dense_2/kernel", step=1))
    found = mb.read(tmp_path / "run")["."]
    assert found.histograms["params/body/kernel"].step.tolist() == [0, 1]
    assert found.histograms["params/head/kernel"].step.tolist() == [1]


def test_captures_without_a_table_keep_their_names_and_that_is_said_once(aligned):
    with pytest.warns(MultiboardWarning, match="without a table of the layers") as said:
        run = aligned(None, *(capture("params/Dense_1/kernel", step=step) for step in range(3)))
    assert len(said) == 1
    assert set(run.histograms) == {"params/Dense_1/kernel"}


def test_a_child_run_has_the_names_of_its_parent(tmp_path, other):
    with mb.Run(tmp_path / "run", facts=False, align_to=other()) as run:
        run.describe_layers(FLAX, 0)
        run.child("more").capture(capture("params/Dense_1/kernel"))
    assert set(mb.read(tmp_path / "run")["more"].histograms) == {"params/body/kernel"}


def test_the_table_is_that_of_the_tags_and_a_graph_of_the_own_names_joins_it(aligned):
    run = aligned(FLAX, capture("params/Dense_1/kernel"))
    assert [(one.path, one.own) for one in logged_rows(run).layers] == [
        ("stem", "Dense_0"), ("body", "Dense_1"), ("head", "Dense_2")
    ]  # fmt: skip
    assert [one.path for one in layer_table(run)] == ["stem", "body", "head"]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: path / "nothing", "holds no event files"),
        (lambda _: 7, "pass the directory of another run"),
        (lambda path: path, "it holds 2 runs"),
        (lambda path: path / "scalars", "holds no layers yet"),
    ],
)
def test_a_wrong_directory_is_one_error_before_anything_is_written(make, sentence, tmp_path):
    runs = tmp_path / "runs"
    for name in ("scalars", "more"):
        with mb.Run(runs / name, facts=False) as run:
            run.log({"x": 1.0}, step=0)
    with pytest.raises(ArgumentError, match=sentence) as raised:
        mb.Run(tmp_path / "new", align_to=make(runs))
    assert raised.value.name == "align_to"
    assert not (tmp_path / "new").exists()

"""The layer table that a run writes: once, for all layers that it is told of, in the words of its tags."""

import json
import tracemalloc

import numpy as np
import pytest

import multiboard as mb
from multiboard import tags
from multiboard.compare.layer_table import Role, layer_table, logged_rows
from multiboard.errors import ArgumentError
from multiboard.graph.ir import Node, TensorSpec
from multiboard.graph.recorder import Recorder, Weight
from multiboard.layer_rows import LayerRow, LayerRows, RoleRow, in_call_order
from multiboard.stored_layers import stored_layers
from multiboard.transforms import transpose

KERNEL = RoleRow("kernel", "fc/kernel", "fc.weight", (4, 3), transpose(1, 0), "float32")
OUT = RoleRow("kernel", "out/kernel", "out.weight", (2, 4), transpose(1, 0), "float32")
TABLE = LayerRows(
    "torch",
    (LayerRow("out", "Linear", 2, (OUT,)), LayerRow("fc", "Linear", 0, (KERNEL,)), LayerRow("act", "ReLU", 1)),
    tags.GIVEN,
)


def column(log_dir):
    return mb.read(log_dir)["."].tensors[tags.RUN_INFO]


def graph():
    """Return a graph of what the table has, and of a layer 'norm' between 'fc' and 'act'."""
    recorder = Recorder()
    net = recorder.frame("module", "Net", "Net")
    for name in ("fc", "norm", "act", "out"):
        scope = (net, recorder.frame("module", name, name.title()))
        spec = TensorSpec((3, 4), "float32")
        weight = recorder.weight(Weight(f"{name}/bias", "bias", f"{name}/bias", f"{name}.bias", spec, 12, trainable=True), scope)
        recorder.add(Node("aten::linear", scope, ((weight, 0),), (spec,)))
    return recorder.finish("torch", step=0)


def test_the_table_is_read_as_it_was_written(log_dir):
    with mb.Run(log_dir) as run:
        run.describe_layers(TABLE, 7)
    assert column(log_dir).step.tolist() == [7]
    assert logged_rows(mb.read(log_dir)["."]) == stored_layers(log_dir) == TABLE


def test_the_text_names_what_other_programs_need(log_dir):
    with mb.Run(log_dir) as run:
        run.describe_layers(TABLE, 0)
    told = json.loads(column(log_dir).value[0].item())
    assert {name: told[name] for name in ("version", "framework", "gradients", "order_from")} == {
        "version": 1,
        "framework": "torch",
        "gradients": "as the optimizer gets it",
        "order_from": "calls",
    }
    assert told["layers"][1] == {
        "path": "fc",
        "class": "Linear",
        "order": 0,
        "roles": [
            {
                "name": "kernel",
                "tag": "fc/kernel",
                "native": "fc.weight",
                "shape": [4, 3],
                "canonical": [3, 4],
                "transform": "transpose 1 0",
                "dtype": "float32",
                "trainable": True,
            }
        ],
    }


def test_the_same_table_is_written_once_also_when_a_run_is_resumed(log_dir):
    with mb.Run(log_dir) as run:
        run.describe_layers(TABLE, 0)
        run.describe_layers(TABLE, 5)
    with mb.Run(log_dir, resume=True) as run:
        run.describe_layers(TABLE, 6)
    assert column(log_dir).step.tolist() == [0]


def test_a_resumed_run_writes_a_table_that_differs(log_dir):
    with mb.Run(log_dir) as run:
        run.describe_layers(TABLE, 0)
    other = TABLE._replace(layers=TABLE.layers[:2])
    with mb.Run(log_dir, resume=True) as run:
        run.describe_layers(other, 6)
    assert column(log_dir).step.tolist() == [0, 6]
    assert stored_layers(log_dir) == other


def test_of_a_long_file_only_a_part_is_in_memory(log_dir):
    with mb.Run(log_dir) as run:
        run.describe_layers(TABLE, 0)
        for step in range(8):
            run.tensor("noise", np.random.default_rng(step).integers(0, 255, 2**20, np.uint8), step)
        run.describe_layers(TABLE._replace(gradients=tags.SCALED), 9)
    tracemalloc.start()
    found = stored_layers(log_dir)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found is not None
    assert found.gradients == tags.SCALED
    assert peak < 2**22 < sum(file.stat().st_size for file in log_dir.iterdir())


def test_a_tag_that_stands_across_two_parts_of_a_file_is_found(log_dir, monkeypatch):
    with mb.Run(log_dir) as run:
        run.describe_layers(TABLE, 0)
    monkeypatch.setattr("multiboard.stored_layers._PART_BYTES", 7)
    assert stored_layers(log_dir) == TABLE


def test_text_that_only_names_the_tag_is_no_table(log_dir):
    with mb.Run(log_dir) as run:
        run.describe_layers(TABLE, 0)
    with mb.Run(log_dir, resume=True) as run:
        run.text("notes", f"see {tags.RUN_INFO}", 1)
    assert stored_layers(log_dir) == TABLE


def test_a_second_model_comes_behind_the_first_one(log_dir):
    critic = LayerRows("torch", (LayerRow("critic", "Linear", 0, (KERNEL._replace(tag="critic/kernel"),)),), tags.GIVEN)
    with mb.Run(log_dir) as run:
        run.describe_layers(TABLE, 0)
        run.describe_layers(critic, 1)
    found = layer_table(mb.read(log_dir)["."])
    assert [(layer.path, layer.order) for layer in found] == [("fc", 0), ("act", 1), ("out", 2), ("critic", 3)]


def test_layers_come_in_the_order_of_their_calls_with_shapes_in_both_layouts(log_dir):
    with mb.Run(log_dir) as run:
        run.describe_layers(TABLE, 0)
    found = layer_table(mb.read(log_dir)["."])
    assert [(layer.path, layer.cls, layer.order, layer.params) for layer in found] == [
        ("fc", "Linear", 0, 12),
        ("act", "ReLU", 1, 0),
        ("out", "Linear", 2, 8),
    ]
    assert found[0].roles == (Role("kernel", "fc/kernel", "fc.weight", (4, 3), 12, (3, 4), "transpose 1 0", "float32"),)


def test_a_graph_of_the_run_completes_the_table_and_takes_nothing_of_it_away(log_dir):
    with mb.Run(log_dir) as run:
        run.describe_layers(TABLE, 0)
        run.graph(graph())
    found = {layer.path: layer for layer in layer_table(mb.read(log_dir)["."])}
    assert [(path, layer.order) for path, layer in found.items()] == [("fc", 0), ("norm", 1), ("act", 2), ("out", 3)]
    assert [role.name for role in found["fc"].roles] == ["kernel", "bias"]
    assert found["fc"].roles[0].canonical == (3, 4)


def test_a_graph_gives_the_order_where_no_call_was_seen(log_dir):
    unseen = TABLE._replace(layers=tuple(layer._replace(order=None) for layer in TABLE.layers))
    with mb.Run(log_dir) as run:
        run.describe_layers(unseen, 0)
        run.graph(graph())
    assert unseen.order_from == "definition"
    assert [layer.path for layer in layer_table(mb.read(log_dir)["."])] == ["fc", "norm", "act", "out"]


def test_histograms_add_no_second_entry_of_a_tensor(log_dir):
    with mb.Run(log_dir) as run:
        run.histogram("params/fc/kernel", np.ones((4, 3)), 0, description=tags.description("fc.weight", "Linear"))
        run.describe_layers(TABLE, 0)
    assert [layer.path for layer in layer_table(mb.read(log_dir)["."]) for _ in layer.roles] == ["fc", "out"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "[]",
        '{"layers": 3}',
        '{"framework": "a", "layers": [{"path": "x"}]}',
        '{"framework": "a", "layers": [{"path": "x", "class": "", "order": Infinity, "roles": []}]}',
        "[" * 9999,
    ],
)
def test_another_text_is_no_table(text):
    with pytest.raises(ArgumentError):
        LayerRows.from_json(text)


def test_a_table_with_an_unknown_transform_has_no_shape_to_compare():
    told = json.loads(TABLE.to_json())
    told["layers"][1]["roles"][0]["transform"] = "shuffle"
    role = LayerRows.from_json(json.dumps(told)).layers[1].roles[0]
    assert (role.transform, role.canonical, role.shape) == ("", None, (4, 3))


def test_a_run_whose_table_is_damaged_is_read_without_it(log_dir):
    with mb.Run(log_dir) as run:
        run.describe_layers(TABLE, 0)
        run.log({"norm/params/fc/kernel": 1.0}, step=0)
    file = next(log_dir.iterdir())
    file.write_bytes(file.read_bytes().replace(b'"framework": "torch"', b'"framework": "torc_"'))
    found = mb.read(log_dir)["."]
    assert found.damage
    assert [layer.path for layer in layer_table(found)] == ["fc"]


def test_a_layer_that_the_one_around_it_uses_itself_counts_behind_what_that_one_calls():
    assert in_call_order(["a", "a/x", "b/y"], ["", "a", "a/z", "c"]) == {"a": 0, "a/z": 1, "a/x": 2, "c": 3}

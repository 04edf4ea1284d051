"""Names say where a node is, and show the class of a group, of which nothing else is shown."""

import pytest

from multiboard.graph.names import names


def test_a_name_is_the_way_from_the_model_to_the_node(sketch):
    sketch.op("Net:Net encoder:Encoder fc:Linear @linear", "aten::addmm")
    sketch.weight("Net:Net encoder:Encoder fc:Linear", "kernel", (2, 2))
    sketch.op("", "Input", name="x")
    assert names(sketch.graph()) == ["encoder/fc Linear/linear/addmm", "encoder/fc Linear/kernel", "x"]


def test_the_model_is_a_group_if_there_is_a_second_call_or_model(sketch):
    sketch.op("Net:Net", "aten::add")
    sketch.op("Net:Net~2", "aten::add")
    sketch.op("Other:Other", "aten::add")
    assert names(sketch.graph()) == ["Net/add", "Net(2)/add", "Other/add"]


def test_the_model_is_no_group_in_its_backward_pass_either(sketch):
    sketch.op("Net:Net fc:Fc", "aten::add")
    sketch.op("#backward Net:Net~2 fc:Fc~2", "aten::mm")
    assert names(sketch.graph()) == ["fc/add", "backward/fc/mm"]


def test_second_calls_and_second_operations_are_numbered_without_a_digit_at_the_end(sketch):
    for call in ("", "~2"):
        sketch.op(f"Net:Net fc:Fc{call}", "aten::add")
        sketch.op(f"Net:Net fc:Fc{call}", "aten::add")
    assert names(sketch.graph()) == ["fc/add", "fc/add(2)", "fc(2)/add", "fc(2)/add(2)"]


@pytest.mark.parametrize(
    ("part", "label"),
    [
        ("0:Block", "0 Block"),
        ("attn:SelfAttention", "attn SelfAttention"),
        ("attention:SelfAttention", "attention"),
        ("Block_3:Block", "Block_3"),
        ("layer1:Sequential", "layer1"),
        ("blocks:ModuleList", "blocks"),
        ("blocks:", "blocks"),
        ("@linear", "linear"),
        ("#scan", "scan"),
        ("naïve:Net", "na_ve Net"),
    ],
)
def test_a_group_shows_its_class_if_its_name_does_not(sketch, part, label):
    sketch.op(f"Net:Net {part} fc:Linear", "aten::mm", name="y")
    assert names(sketch.graph())[0].split("/")[0] == label


def test_the_calls_of_layers_in_a_list_stand_in_one_group(sketch):
    for number in range(2):
        sketch.op(f"Net:Net blocks:ModuleList~{number} {number}:Linear", "aten::mm", name="y")
    assert names(sketch.graph()) == ["blocks/0 Linear/y", "blocks/1 Linear/y"]


def test_a_leaf_with_a_number_for_a_name_shows_its_op(sketch):
    sketch.op("Net:Net", "Dense", name="0")
    assert names(sketch.graph()) == ["0 Dense"]


@pytest.mark.parametrize(("count", "last"), [(4, "w3"), (5, "w4 parameter")])
def test_leaves_that_would_be_stacked_show_their_op(sketch, count, last):
    for number in range(count):
        sketch.op("Net:Net", "Const_Parameter", name=f"w{number}")
    assert names(sketch.graph())[-1] == f"{last}"


def test_inputs_are_grouped_as_their_tree(sketch):
    for name in ("batch/image", "batch/label", "rng"):
        sketch.op("", "Input", name=name)
    assert names(sketch.graph()) == ["batch/image", "batch/label", "rng"]


def test_a_leaf_gives_way_to_a_group_of_its_name(sketch):
    sketch.op("", "Input", name="x")
    sketch.op("Net:Net x:X", "mul")
    assert names(sketch.graph()) == ["x(2)", "x/mul"]


def test_children_beyond_200_are_put_into_parts_in_their_order(sketch):
    for _ in range(401):
        sketch.op("Net:Net", "mul")
    called = names(sketch.graph())
    assert [called[0], called[133], called[400]] == ["part_1/mul", "part_2/mul(134)", "part_3/mul(401)"]

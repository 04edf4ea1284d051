"""A comparison of two graphs lists what tells their models apart."""

from contextlib import ExitStack, nullcontext

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from multiboard.graph import diff, summarize


def what(found):
    return {(row.layer, row.what) for row in found.rows}


def names(found):
    return {(row.layer, row.what, row.a, row.b) for row in found.names}


@pytest.fixture
def net(by_hand):
    return by_hand.mlp()


def test_equal_graphs_have_no_differences(net, by_hand):
    found = diff(net, by_hand.mlp())
    assert not found
    assert str(found) == "no differences"
    assert found.markdown() == "No differences."
    assert ("blocks/1/fc", "blocks/1/fc") in found.pairs


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_no_graph_differs_from_itself(any_graph, data):
    graph = data.draw(any_graph)
    assert not diff(graph, graph)
    assert not diff(graph, summarize(graph))


def test_a_layer_that_only_one_side_has_is_listed(net, by_hand):
    found = diff(net, by_hand.mlp(norm=False))
    assert what(found) == {("norm", "only in a")}
    assert found.rows[0].a == "BatchNorm1d 8\u00d716, 32 parameters"
    assert what(diff(by_hand.mlp(norm=False), net)) == {("norm", "only in b")}


def test_another_width_is_another_shape_and_another_number_of_parameters(net, by_hand):
    found = what(diff(net, by_hand.mlp(width=32)))
    assert {("fc1", "shape"), ("fc1", "parameters"), ("norm", "buffers"), ("head", "parameters")} <= found
    assert ("head", "shape") not in found


def test_another_dtype_is_told_for_outputs_and_weights(net, by_hand):
    found = diff(net, by_hand.mlp(dtype="bfloat16"))
    told = {(row.a, row.b) for row in found.rows if row.layer == "head"}
    assert told == {("float32", "bfloat16"), ("kernel float32", "kernel bfloat16"), ("bias float32", "bias bfloat16")}
    assert {row.what for row in found.rows} == {"dtype"}


def test_another_class_is_told(net, by_hand):
    found = diff(net, by_hand.mlp(second="Bilinear"))
    assert what(found) == {("blocks/0/fc", "class"), ("blocks/1/fc", "class")}
    assert found.rows[0][2:] == ("Linear", "Bilinear")


def test_classes_of_one_canonical_name_are_the_same(net, by_hand):
    assert not diff(net, by_hand.mlp(second="Dense"))


def test_other_operations_are_told_in_the_layer_that_calls_them(net, by_hand):
    found = diff(net, by_hand.mlp(activation="aten::gelu"))
    assert [tuple(row) for row in found.rows] == [("Net", "operations", "aten::relu", "aten::gelu")]


def test_another_number_of_calls_is_told(by_hand):
    def shared(times):
        model = by_hand.Model()
        h = model.input("x", (8, 4))
        with model.frame("Net", "Net"):
            for _ in range(times):
                h = model.dense("fc", h, 4)
        return model.finish(h)

    found = diff(shared(2), shared(3))
    assert ("fc", "calls") in what(found)


def test_a_size_that_is_not_known_equals_any(net, by_hand):
    assert not {row for row in diff(net, by_hand.mlp(rows=None)).rows if row.what == "shape"}


def test_a_layer_of_another_name_is_found_by_its_order_and_class_and_is_a_difference_of_names(net, by_hand):
    found = diff(net, by_hand.mlp(name="classifier"))
    assert not found
    assert names(found) == {("head", "name", "head", "classifier")}
    assert ("head", "classifier") in found.pairs
    assert str(found).splitlines() == ["no differences but of names", "called otherwise:", "head: name head | classifier"]
    assert found.markdown().splitlines()[-1] == "| head | name | head | classifier |"


def test_operations_of_different_frameworks_are_not_compared_and_that_is_said(by_hand):
    def one(op, framework):
        model = by_hand.Model()
        with model.frame("Net", "Net"):
            y = model.dense("fc", model.input("x", (8, 4)), 4, op=op)
        return model.finish(y, framework)

    found = diff(one("aten::addmm", "torch"), one("dot_general", "jax"))
    assert not found
    assert "were not compared" in str(found)


def test_channels_may_be_first_in_one_framework_and_last_in_another(by_hand):
    def one(shape, framework):
        model = by_hand.Model()
        with model.frame("Net", "Net"), model.frame("conv", "Conv"):
            y = model.op("convolution", [model.input("x", shape)], shape)
        return model.finish(y, framework)

    first, last = one((8, 3, 32, 16), "torch"), one((8, 32, 16, 3), "jax")
    assert not diff(first, last)
    assert not diff(last, first)
    assert diff(first, one((8, 32, 16, 3), "torch"))
    assert diff(first, one((8, 16, 32, 3), "jax"))


def test_both_orders_find_the_same(net, by_hand):
    other = by_hand.mlp(width=32, norm=False, activation="aten::gelu")
    mirrored = {("only in a" if row.what == "only in b" else row.what, row.layer, row.b, row.a) for row in diff(other, net).rows}
    assert {(row.what, row.layer, row.a, row.b) for row in diff(net, other).rows} == mirrored


def test_differences_are_told_as_text_and_as_a_table(net, by_hand):
    found = diff(net, by_hand.mlp(activation="aten::gelu"))
    assert str(found) == "Net: operations aten::relu | aten::gelu"
    assert found.markdown().splitlines()[-1] == "| Net | operations | aten::relu | aten::gelu |"


def test_a_layer_that_only_one_side_has_stands_for_all_below_it(by_hand):
    found = diff(by_hand.deep(4), by_hand.deep(2))
    assert [tuple(row) for row in found.rows] == [
        (f"block{number}", "only in a", "Block 8\u00d74, 20 parameters in 2 layers", "") for number in (2, 3)
    ]


def test_layers_of_other_names_are_looked_for_where_their_container_is(by_hand):
    def one(*layers):
        model = by_hand.Model()
        y = model.input("x", (8, 4))
        with model.frame("Net", "Net"):
            for number in range(3):
                with model.frame(f"block{number}", "Block"):
                    for name, width in layers:
                        y = model.dense(name, y, width)
        return model.finish(y)

    pairs = diff(one(("in", 4), ("out", 4)), one(("up", 8), ("down", 4))).pairs
    assert {pair for pair in pairs if "/" in pair[0]} == {
        (f"block{number}/{a}", f"block{number}/{b}") for number in range(3) for a, b in (("in", "up"), ("out", "down"))
    }


def attention(by_hand, *, split, cls="MultiheadAttention"):
    """A model of one attention layer, whose parts are layers of their own or not."""
    model = by_hand.Model()
    x = model.input("x", (8, 4))
    with model.frame("Net", "Net"), model.frame("attn", cls):
        if split:
            y = model.dense("query", x, 4, op="aten::mm")
        else:
            y = model.op("aten::mm", [x, model.weight("kernel", (4, 4)), model.weight("bias", (4,))])
    return model.finish(y)


def test_an_attention_layer_is_one_layer_whatever_it_is_made_of(by_hand):
    assert not diff(attention(by_hand, split=True), attention(by_hand, split=False))
    own = attention(by_hand, split=True, cls="MyAttention")
    for found in (diff(own, attention(by_hand, split=False)), diff(attention(by_hand, split=True), own)):
        assert not found
        assert {row[:2] for row in names(found)} == {("attn", "container")}


def test_paths_of_the_same_words_are_the_same_layer(by_hand):
    def one(*names):
        model = by_hand.Model()
        with ExitStack() as stack:
            for name in ("Net", *names):
                stack.enter_context(model.frame(name, "Net"))
            y = model.dense("fc", model.input("x", (8, 4)), 4)
        return model.finish(y)

    found = diff(one("blocks", "0"), one("blocks_0"))
    assert not found
    assert ("blocks/0/fc", "blocks_0/fc") in found.pairs


def test_paths_count_for_more_than_the_order(by_hand):
    def one(*paths):
        model = by_hand.Model()
        y = model.input("x", (8, 4))
        with model.frame("Net", "Net"):
            for path in paths:
                y = model.dense(path, y, 4)
        return model.finish(y)

    assert set(diff(one("fc_0", "fc_1"), one("fc.1", "fc.0")).pairs) >= {("fc_0", "fc.0"), ("fc_1", "fc.1")}


def test_a_container_that_only_one_side_has_is_no_difference_by_itself(by_hand):
    def one(container):
        model = by_hand.Model()
        x = model.input("x", (8, 4))
        with model.frame("Net", "Net"), model.frame("body", "Sequential") if container else nullcontext():
            y = model.dense("fc", x, 4)
        return model.finish(y)

    found = diff(one(container=True), one(container=False))
    assert not found
    assert names(found) == {("body/fc", "name", "body/fc", "fc")}


@pytest.mark.parametrize(
    ("ours", "theirs", "told"), [("Block", "Layer", {("body", "container", "Block", "Layer")}), ("", "List", set())]
)
def test_the_class_of_a_container_is_a_name_and_that_of_a_list_says_nothing(by_hand, ours, theirs, told):
    def one(cls):
        model = by_hand.Model()
        x = model.input("x", (8, 4))
        with model.frame("Net", "Net"), model.frame("body", cls):
            y = model.dense("fc", x, 4)
        return model.finish(y)

    found = diff(one(ours), one(theirs))
    assert not found
    assert names(found) == told


def test_an_activation_may_be_a_layer_in_one_framework_and_a_function_in_the_other(by_hand):
    def one(op, framework):
        model = by_hand.Model()
        with model.frame("Net", "Net"):
            y = model.dense("fc", model.input("x", (8, 4)), 4, op=f"{op}mm")
            with model.frame("act", "ReLU") if framework == "torch" else model.frame("relu", kind="call"):
                y = model.op(f"{op}relu", [y])
        return model.finish(y, framework)

    assert not diff(one("aten::", "torch"), one("", "jax"))
    assert what(diff(one("aten::", "torch"), one("aten::", "other"))) == {("act", "only in a"), ("Net", "operations")}

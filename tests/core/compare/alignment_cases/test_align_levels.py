"""How sure a pair is, and what decides it."""

import pytest

from multiboard.compare.align import align
from multiboard.compare.layer_table import Layer, Role
from multiboard.errors import ArgumentError


def levels(alignment):
    return {(pair.a, pair.b): pair.level for pair in alignment.pairs}


@pytest.mark.parametrize("graph", [True, False])
def test_equal_layers_whose_names_tell_nothing_are_guesses(stack, graph):
    found = align(stack("up", "mid", "down", graph=graph), stack("dense", "dense_1", "dense_2", graph=graph))
    assert {pair.level for pair in found.pairs} == {"guess"}
    assert all("one of 3 of one shape" in pair.evidence for pair in found.pairs)


def test_numbers_and_call_order_agree(stack):
    found = align(stack("net/0", "net/2", "net/4"), stack("dense_3", "dense_4", "dense_5"))
    assert levels(found) == dict.fromkeys([("net/0", "dense_3"), ("net/2", "dense_4"), ("net/4", "dense_5")], "agreed")


def test_numbers_against_call_order_are_a_guess_that_says_so(stack):
    found = align(stack("net/0", "net/2"), stack("dense_1", "dense"))
    assert {pair.level for pair in found.pairs} == {"guess"}
    assert any(part.startswith("against it") for pair in found.pairs for part in pair.evidence)


def test_a_map_wins_over_everything_else(stack):
    found = align(stack("a", "b"), stack("a", "b"), layers={"a": "b"})
    assert {pair.b: pair.level for pair in found.pairs if pair.a == "a"} == {"b": "certain"}
    assert found.pairs[0].evidence == ("map",)


def test_a_mapped_container_leads_what_is_below_it(stack):
    layers = {"left": "second", "right": "first"}
    found = align(stack("left/x", "right/x"), stack("first/x", "second/x"), layers=layers)
    assert {(pair.a, pair.b) for pair in found.pairs} >= {("left/x", "second/x"), ("right/x", "first/x")}


def test_a_map_of_unknown_layers_is_refused_with_a_near_name(stack):
    with pytest.raises(ArgumentError, match="'encoder'"):
        align(stack("encoder"), stack("dense"), layers={"encodr": "dense"})


def test_equal_weights_are_certain(stack):
    twins = {("up", "dense_1"), ("down", "dense")}
    found = align(stack("up", "down"), stack("dense", "dense_1"), equal=lambda a, b: (*a, *b) in twins)
    assert levels(found) == dict.fromkeys(twins, "certain")


def test_equal_weights_of_several_layers_tell_nothing(stack):
    found = align(stack("up", "down"), stack("dense", "dense_1"), equal=lambda *_: True)
    assert {pair.level for pair in found.pairs} == {"guess"}


def test_a_layer_that_only_one_model_has_is_listed(stack):
    found = align(stack("a", "b"), stack("a"))
    assert [layer.path for layer in found.only_a] == ["b"]
    assert not found.only_b


def test_a_missing_bias_does_not_part_layers():
    kernel = Role("kernel", "fc/kernel", "fc.weight", (4, 8), 32)
    bias = Role("bias", "fc/bias", "fc.bias", (4,), 4)
    found = align([Layer("fc", "Linear", 0, (kernel, bias), 36)], [Layer("fc", "Linear", 0, (kernel,), 32)])
    assert levels(found) == {("fc", "fc"): "certain"}


def test_bare_parameters_are_found_whatever_holds_them():
    def bare(path, **shapes):
        return Layer(path, "", None, tuple(Role(name, name, name, shape, 8) for name, shape in shapes.items()), None)

    a = [bare("", cls_token=(1, 1, 8), pos_embedding=(1, 5, 8)), bare("temperature", log_scale=())]
    b = [bare("", cls=(1, 1, 8)), bare("Transformer/posembed_input", pos_embedding=(1, 5, 8)), bare("logit", scale_factor=(1,))]
    assert {(pair.a, pair.b) for pair in align(a, b).pairs} == {
        ("", ""), ("", "Transformer/posembed_input"), ("temperature", "logit")
    }  # fmt: skip


def test_layers_of_one_name_and_other_sizes_are_a_guess(stack):
    found = align(stack("fc", sizes=(8, 4)), stack("fc", sizes=(8, 5)))
    assert [(pair.level, pair.evidence) for pair in found.pairs] == [("guess", ("names", "against it: shape"))]


def test_an_inserted_layer_makes_its_neighbours_of_one_shape_guesses(stack):
    found = align(stack("dense", "dense_1"), stack("dense", "dense_1", "dense_2"))
    assert {pair.level for pair in found.pairs} == {"guess"}
    assert len(found.only_b) == 1


def test_models_without_layers_have_no_pairs(stack):
    assert align([], []) == ((), (), ())
    assert [layer.path for layer in align(stack("a"), []).only_a] == ["a"]


def test_one_sequence_of_calls_is_enough_for_layers_that_no_equal_one_follows(stack):
    def model(*names):
        first, wide, last = (stack(name, sizes=sizes)[0] for name, sizes in zip(names, [(8, 8), (8, 4), (8, 8)], strict=True))
        return [first, wide._replace(order=1), last._replace(order=2)]

    found = align(model("up", "mid", "down"), model("dense", "dense_1", "dense_2"))
    assert levels(found) == dict.fromkeys([("up", "dense"), ("mid", "dense_1"), ("down", "dense_2")], "agreed")


def test_a_layer_three_times_as_wide_is_no_fused_projection_of_a_model_that_has_its_own(stack):
    def attention(home):
        return [layer for name in ("q", "k", "v") for layer in stack(f"{home}/attn/{name}", sizes=(8, 8))]

    found = align(attention("a"), [*attention("b"), *stack("fc", sizes=(8, 24))])
    leaves = {(pair.a, pair.b) for pair in found.pairs if pair.evidence != ("hold the same layers",)}
    assert leaves == {(f"a/attn/{name}", f"b/attn/{name}") for name in "qkv"}
    assert [layer.path for layer in found.only_b] == ["fc"]


def test_of_layers_that_nothing_else_tells_apart_those_with_a_bias_belong_together():
    kernel, bias = Role("kernel", "", "x.weight", (8, 8), 64), Role("bias", "", "x.bias", (8,), 8)
    a = [Layer("up", "Linear", None, (kernel, bias), None), Layer("down", "Linear", None, (kernel,), None)]
    b = [Layer("dense", "Linear", None, (kernel,), None), Layer("dense_1", "Linear", None, (kernel, bias), None)]
    assert levels(align(a, b)) == {("up", "dense_1"): "guess", ("down", "dense"): "guess"}

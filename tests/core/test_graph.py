"""Graphs are kept byte by byte: one of the run, named ones, and those of the layers of Keras models."""

import pytest

import multiboard as mb

NODE = bytes.fromhex("0a") + bytes([15]) + b"\x0a\x04loss\x12\x07Identit"  # GraphDef.node {name: "loss" op: "Identit"}


def test_the_graph_of_the_run_and_named_ones_are_kept(written):
    def actions(run):
        run.graph(NODE)
        run.graph(NODE * 2, tag="api", description="by call")

    graphs = written(actions).graphs
    assert {tag: column.value for tag, column in graphs.items()} == {"Default": [NODE], "api": [NODE * 2]}
    assert graphs["api"].description == "by call"


@pytest.mark.parametrize("tag", [None, "api"])
def test_a_second_graph_of_the_same_name_is_refused(log_dir, tag):
    with mb.Run(log_dir) as run:
        run.graph(NODE, tag=tag)
        with pytest.raises(mb.ValueKindError, match="this run has this graph already"):
            run.graph(NODE, tag=tag)


def test_a_graph_that_was_refused_can_be_given_again(written):
    def actions(run):
        with pytest.raises(mb.ValueKindError, match="SerializeToString"):
            run.graph("text")
        run.graph(NODE)

    assert written(actions).graphs["Default"].value == [NODE]


def test_a_graph_does_not_end_the_first_step_of_a_run(log_dir):
    with mb.Run(log_dir) as run:
        run.graph(NODE)
        run.log({"x": 1.0}, 7)
        with pytest.raises(mb.TagKindError):
            run.text("x", "t", 7)


MODEL = '{"class_name": "Sequential", "config": {"name": "m", "layers": [{"class_name": "Dense", "config": {"name": "fc"}}]}}'


def test_the_layers_of_a_model_are_kept_as_their_json(written):
    def actions(run):
        run.conceptual_graph(MODEL)
        run.conceptual_graph(MODEL + " ", tag="other", description="of the teacher")

    graphs = written(actions).graphs
    assert {tag: column.value for tag, column in graphs.items()} == {"keras": [MODEL.encode()], "other": [MODEL.encode() + b" "]}
    assert graphs["other"].description == "of the teacher"


@pytest.mark.parametrize("model", [b"{}", "{}", "no JSON", "[1]", '{"config": {"layers": []}}', '{"config": 3}', None])
def test_what_is_no_json_of_a_model_with_layers_is_refused(log_dir, model):
    with mb.Run(log_dir) as run, pytest.raises(mb.ValueKindError, match=r"model\.to_json"):
        run.conceptual_graph(model)


def test_a_model_takes_no_name_of_another_graph(log_dir):
    with mb.Run(log_dir) as run:
        run.graph(NODE, tag="keras")
        with pytest.raises(mb.ValueKindError, match="this run has this graph already"):
            run.conceptual_graph(MODEL)

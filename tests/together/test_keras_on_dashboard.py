"""What the callback of Keras writes between steps is shown by real TensorBoard, with both loaders."""

import io

import keras
import numpy as np
import pytest
from PIL import Image
from tensorboard.compat.proto.graph_pb2 import GraphDef

import multiboard as mb
import multiboard.keras as mbk
from multiboard_keras.conceptual import conceptual_json, draw

RUN = "keras"
WORDS = [[str(i), f"w{i}"] for i in range(6)]
SPRITE = np.random.default_rng(0).integers(0, 256, (6, 3, 5, 3), np.uint8)
layers = keras.layers


def make_tower():
    return keras.Sequential([keras.Input((4,), name="in"), layers.Dense(3, name="fc")], name="tower")


def make_pair():
    """A Functional model: two inputs in a dict, a model that is called twice, a constant in an operation, two outputs."""
    left, right, tower = keras.Input((4,), name="left"), keras.Input((4,), name="right"), make_tower()
    both = layers.Concatenate(name="both")([tower(left), tower(right) * 2.0])
    return keras.Model({"left": left, "right": right}, {"a": layers.Dense(1, name="a")(both), "b": layers.ReLU(name="b")(both)})


def make_stack():
    """A Sequential model with a Functional one in it and one layer in mixed precision."""
    inner = keras.Model(entry := keras.Input((4,), name="x"), layers.Dense(3, name="y")(entry), name="inner")
    return keras.Sequential([keras.Input((4,), name="in"), inner, layers.Dense(2, name="out", dtype="mixed_float16")])


EDGES = {
    "pair": {
        "left": [], "right": [], "tower/in": ["left", "right"], "tower/fc": ["tower/in"], "multiply": ["tower/fc"],
        "both": ["tower/fc", "multiply"], "a": ["both"], "b": ["both"],
    },
    "stack": {"in": [], "inner/x": ["in"], "inner/y": ["inner/x"], "out": ["inner/y"]},
}  # fmt: skip


@pytest.fixture(scope="module")
def fitted(board_dir):
    """Two epochs of a model of words that the callback has logged, its Embedding layer at the end, and graphs beside it."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((5,), dtype="int32", name="numbers"), layers.Embedding(6, 4, name="words"), layers.Flatten(name="flat"),
         layers.Dense(8, name="fc"), layers.Dense(3, activation="softmax", name="kind")]
    )  # fmt: skip
    model.compile("adam", "sparse_categorical_crossentropy")
    x = np.random.default_rng(0).integers(0, 6, (40, 5))
    words = {"words": {"labels": WORDS, "columns": ["id", "word"], "sprite": SPRITE}}
    callback = mbk.TensorBoard(
        board_dir / RUN,
        histogram_freq=1,
        write_images=True,
        embeddings_freq=1,
        embeddings_metadata=words,
        samples=mbk.Samples(x[:2], x[:2, 0] % 3, labels=["cat", "dog", "emu"]),
    )
    model.fit(x, x[:, 0] % 3, batch_size=8, epochs=2, verbose=0, callbacks=[callback])
    for name, make in (("pair", make_pair), ("stack", make_stack)):
        with mb.Run(board_dir / name) as run:
            run.conceptual_graph(conceptual_json(draw(make().get_config())))
    return model


def graph(board, run):
    """Return the nodes of a conceptual graph, from the text that the page reads."""
    from google.protobuf import text_format

    board.wait_for(lambda: board.json("data/plugin/graphs/info")[run]["tags"]["keras"]["conceptual_graph"], bool)
    body, _ = board.bytes("data/plugin/graphs/graph", run=run, tag="keras", conceptual="true")
    return {node.name: node for node in text_format.Parse(body.decode(), GraphDef()).node}


def test_the_layers_of_a_fitted_model_are_drawn(board, fitted):
    nodes = graph(board, RUN)
    assert [layer.name for layer in fitted.layers] == [name for name in nodes if name != "numbers"]
    assert {name: list(node.input) for name, node in nodes.items()} == {
        "numbers": [], "words": ["numbers"], "flat": ["words"], "fc": ["flat"], "kind": ["fc"],
    }  # fmt: skip
    assert nodes["words"].attr["keras_class"].s == b"Embedding"


@pytest.mark.usefixtures("fitted")
def test_the_graphs_tab_opens_with_the_layers_that_were_called(board):
    from google.protobuf import text_format

    board.wait_for(lambda: board.json("data/plugin/graphs/info")[RUN]["run_graph"], bool)
    body, _ = board.bytes("data/plugin/graphs/graph", run=RUN, limit_attr_size=1024, large_attrs_key="_too_large_attrs")
    nodes = {node.name: node for node in text_format.Parse(body.decode(), GraphDef()).node}
    assert {name: list(node.input) for name, node in nodes.items()} == {
        "inputs": [], "words": ["inputs"], "flat": ["words"], "fc": ["flat"], "kind": ["fc"], "output": ["kind"],
    }  # fmt: skip
    assert nodes["words"].op == "Embedding"
    assert board.json("data/plugin/graphs/info")[RUN]["tags"].keys() >= {"keras", "layer", "api", "op", "flops"}


@pytest.mark.usefixtures("fitted")
@pytest.mark.parametrize("name", EDGES)
def test_models_that_tensorboard_cannot_read_by_itself_are_drawn(board, name):
    nodes = graph(board, name)
    plain = {node: [source.rstrip("_0123456789") if "multiply" in source else source for source in found.input]
             for node, found in nodes.items()}  # fmt: skip
    assert {node.rstrip("_0123456789") if "multiply" in node else node: sources for node, sources in plain.items()} == EDGES[name]


def test_the_projector_opens_the_embedding_of_each_epoch(board, fitted):
    info = board.wait_for(lambda: board.json("data/plugin/projector/info", run=RUN), lambda answer: answer.get("embeddings"))
    assert RUN in board.json("data/plugin/projector/runs")
    names = [block["tensorName"] for block in info["embeddings"]]
    assert names == ["words (step 4)", "words (step 9)"]
    assert [block["tensorShape"] for block in info["embeddings"]] == [[6, 4]] * 2
    body, _ = board.bytes("data/plugin/projector/tensor", run=RUN, name=names[1], num_rows=100)
    np.testing.assert_array_equal(
        np.frombuffer(body, np.float32).reshape(6, 4), keras.ops.convert_to_numpy(fitted.layers[0].embeddings.value)
    )
    body, _ = board.bytes("data/plugin/projector/metadata", run=RUN, name=names[1], num_rows=100)
    assert body.decode().splitlines() == ["id\tword", *map("\t".join, WORDS)]
    body, _ = board.bytes("data/plugin/projector/sprite_image", run=RUN, name=names[1])
    assert np.asarray(Image.open(io.BytesIO(body)))[:3, 5:10].tolist() == SPRITE[1].tolist()


def test_weights_are_among_the_images(board, fitted):
    tag = "params/fc/kernel/image"
    found = board.wait_for(
        lambda: board.json("data/plugin/images/images", run=RUN, tag=tag, sample=0), lambda answer: len(answer) == 2
    )
    body, content_type = board.bytes("data/plugin/images/individualImage?" + found[-1]["query"])
    assert content_type == "image/png"
    kernel = keras.ops.convert_to_numpy(fitted.get_layer("fc").kernel.value).T
    grey = (kernel - kernel.min()) / (kernel.max() - kernel.min())
    np.testing.assert_allclose(np.asarray(Image.open(io.BytesIO(body))), 255 * grey, atol=1)


@pytest.mark.usefixtures("fitted")
def test_samples_are_a_table_of_each_epoch(board):
    texts = board.wait_for(
        lambda: board.json("data/plugin/text/text", run=RUN, tag="samples/predictions"), lambda answer: len(answer) == 2
    )
    assert [text["step"] for text in texts] == [4, 9]
    assert texts[1]["text"].count("<tr>") == 3
    assert "<th>target</th>" in texts[1]["text"]

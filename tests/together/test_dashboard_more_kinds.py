"""Every further kind, from sound to graphs, is shown by real TensorBoard, with both loaders."""

import io
import wave

import numpy as np
import pytest
from PIL import Image
from tensorboard.compat.proto.graph_pb2 import GraphDef

import multiboard as mb

RUN = "more"
RNG = np.random.default_rng(0)
SAMPLES = RNG.integers(-(2**15), 2**15, (2, 400, 2), np.int16)
FRAMES = np.broadcast_to(np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1) * 60, (5, 6, 8, 3)).copy()
LABELS, PREDICTIONS = RNG.integers(0, 2, 500), RNG.random(500)
VERTICES = RNG.normal(size=(1, 5, 3)).astype(np.float32)
FACES = np.array([[[0, 1, 2], [2, 3, 4]]])
COLOURS = RNG.integers(0, 256, (1, 5, 3), np.uint8)
VECTORS = RNG.normal(size=(6, 4)).astype(np.float32)
SPRITE = RNG.integers(0, 256, (6, 3, 5, 3), np.uint8)


def graph_def(*names):
    graph = GraphDef()
    for name in names:
        graph.node.add(name=name, op="Op")
    return graph.SerializeToString()


@pytest.fixture(scope="module")
def more(board_dir):
    """A run with every kind of this file, written once."""
    with mb.Run(board_dir / RUN) as run:
        for step in range(3):
            run.audio("a/speech", SAMPLES, step, sample_rate=8000, description="*heard*")
            run.video("v/clip", FRAMES, step, fps=10)
            run.histogram_raw("h/raw", [-1.0, 0.0], [0.0, 2.0], [3 + step, 5], step)
            run.pr_curve("p/curve", LABELS, PREDICTIONS, step, num_thresholds=11)
            run.mesh(
                "m/scan", VERTICES * (step + 1), step, faces=FACES, colors=COLOURS, config={"camera": {"cls": "Orthographic"}}
            )
            run.tensor("x/raw", VECTORS, step)
            run.embedding(
                "e/words", VECTORS, labels=[[i, f"w{i}"] for i in range(6)], columns=["id", "word"], sprite=SPRITE, step=step
            )
            run.scalar("train/loss", 1.0, step)
        run.embedding("e/plain", VECTORS, labels=list("abcdef"))
        run.table("t/table", [{"name": "a|b", "value": "1\n2"}], 0)
        run.image("i/boxes", np.zeros((30, 40, 3), np.uint8), 0, boxes=[[5, 5, 20, 20]], box_labels=["cat"])
        run.segmentation("i/mask", np.zeros((4, 5)), np.ones((4, 5), int), 0)
        run.confusion_matrix("c/matrix", LABELS, PREDICTIONS > 0.5, 0, classes=["no", "yes"])
        run.roc_curve("c/roc", LABELS, PREDICTIONS, 0)
        run.layout({"more losses": {"both": ["Multiline", ["train/.*"]], "band": ["Margin", ["mean", "low", "high"]]}})
        run.graph(graph_def("layer/a", "layer/b"))
        run.graph(graph_def("api/a"), tag="api")
    return RUN


def test_audio_is_served_as_wav_with_its_samples(board, more):
    def samples():
        return [board.json("data/plugin/audio/audio", run=more, tag="a/speech", sample=k) for k in range(2)]

    for clip, found in zip(SAMPLES, board.wait_for(samples, lambda answers: all(len(a) == 3 for a in answers)), strict=True):
        assert [each["step"] for each in found] == [0, 1, 2]
        body, content_type = board.bytes("data/plugin/audio/individualAudio?" + found[2]["query"])
        assert content_type == "audio/wav"
        with wave.open(io.BytesIO(body)) as file:
            assert file.getframerate() == 8000
            np.testing.assert_array_equal(np.frombuffer(file.readframes(400), "<i2").reshape(-1, 2), clip)
    assert "<em>heard</em>" in board.json("data/plugin/audio/tags")[more]["a/speech"]["description"]


def picture(board, tag, count=1):
    found = board.wait_for(
        lambda: board.json("data/plugin/images/images", run=RUN, tag=tag, sample=0), lambda answer: len(answer) == count
    )
    return board.bytes("data/plugin/images/individualImage?" + found[-1]["query"])


@pytest.mark.usefixtures("more")
def test_video_is_served_as_gif_of_its_size(board):
    body, content_type = picture(board, "v/clip", 3)
    assert content_type == "image/gif"
    clip = Image.open(io.BytesIO(body))
    assert (clip.size, clip.n_frames) == ((8, 6), 5)


@pytest.mark.usefixtures("more")
@pytest.mark.parametrize("tag", ["i/boxes", "i/mask", "c/matrix", "c/roc"])
def test_what_is_drawn_is_served_as_png(board, tag):
    body, content_type = picture(board, tag)
    assert content_type == "image/png"
    assert len(np.unique(np.asarray(Image.open(io.BytesIO(body))))) > 1


def test_bins_that_were_counted_elsewhere_are_served_as_they_are(board, more):
    points = board.wait_for(
        lambda: board.json("data/plugin/histograms/histograms", run=more, tag="h/raw"), lambda answer: len(answer) == 3
    )
    assert [rows for *_, rows in points] == [[[-1, 0, 3 + step], [0, 2, 5]] for step in range(3)]


@pytest.mark.parametrize(("tag", "expected"), [("t/table", "<td>a|b</td>"), ("c/matrix/table", "<th>yes</th>")])
def test_a_table_is_rendered_as_a_table(board, more, tag, expected):
    (text,) = board.wait_for(lambda: board.json("data/plugin/text/text", run=more, tag=tag), lambda answer: len(answer) == 1)
    assert expected in text["text"]
    if tag == "t/table":
        assert "<td>1<br>2</td>" in text["text"]


def test_a_curve_is_served_with_the_numbers_of_tensorboards_own_summary(board, more):
    from tensorboard.plugins.pr_curve.summary import pb
    from tensorboard.util.tensor_util import make_ndarray

    points = board.wait_for(
        lambda: board.json("data/plugin/pr_curves/pr_curves", run=more, tag="p/curve")[more], lambda answer: len(answer) == 3
    )
    reference = pb("p/curve", LABELS.astype(bool), PREDICTIONS.astype(np.float32), num_thresholds=11).value[0]
    rows = make_ndarray(reference.tensor)
    for step, point in enumerate(points):
        assert point["step"] == step
        number = len(point["thresholds"])
        assert number >= 10
        for name, row in zip(("true_positives", "false_positives", "true_negatives", "false_negatives"), rows, strict=False):
            assert point[name] == row[:number].tolist()
        np.testing.assert_allclose(point["precision"], rows[4, :number], rtol=1e-6)
        np.testing.assert_allclose(point["recall"], rows[5, :number], rtol=1e-6)


def test_a_mesh_is_served_in_its_parts(board, more):
    found = board.wait_for(
        lambda: board.json("data/plugin/mesh/meshes", run=more, tag="m/scan", sample=0), lambda answer: len(answer) == 9
    )
    assert {each["components"] for each in found} == {14}
    assert {each["config"] for each in found} == {'{"camera": {"cls": "Orthographic"}}'}
    for content_type, part, dtype in (("VERTEX", VERTICES * 3, "<f4"), ("FACE", FACES, "<i4"), ("COLOR", COLOURS, "u1")):
        query = {"run": more, "tag": "m/scan", "sample": 0, "step": 2, "content_type": content_type}
        body, _ = board.bytes("data/plugin/mesh/data", **query)
        np.testing.assert_array_equal(np.frombuffer(body, dtype).reshape(part.shape[1:]), part[0])


def test_the_layout_is_served(board, more):
    def categories():
        layout = board.json("data/plugin/custom_scalars/layout")  # of all runs together
        return [category for category in layout.get("category", ()) if category["title"] == "more losses"]

    (category,) = board.wait_for(categories, bool)
    assert category["chart"] == [
        {"title": "both", "multiline": {"tag": ["train/.*"]}},
        {"title": "band", "margin": {"series": [{"value": "mean", "lower": "low", "upper": "high"}]}},
    ]
    answer = board.json("data/plugin/custom_scalars/scalars", run=more, tag="train/.*")
    assert answer["regex_valid"]
    assert [point[1] for point in answer["tag_to_events"]["train/loss"]] == [0, 1, 2]


@pytest.mark.parametrize(("tag", "names"), [("", {"layer/a", "layer/b"}), ("api", {"api/a"})])
def test_every_graph_is_listed_and_served(board, more, tag, names):
    info = board.wait_for(lambda: board.json("data/plugin/graphs/info")[more], bool)
    assert info["run_graph"]
    assert list(info["tags"]) == ["api"]
    query = {"run": more, "conceptual": "false"} | ({"tag": tag} if tag else {})
    body, _ = board.bytes("data/plugin/graphs/graph", **query)
    assert all(f'name: "{name}"'.encode() in body for name in names)


def test_embeddings_are_served_with_labels_and_sprite(board, more):
    info = board.wait_for(lambda: board.json("data/plugin/projector/info", run=more), lambda answer: answer.get("embeddings"))
    blocks = {block["tensorName"]: block for block in info["embeddings"]}
    assert set(blocks) == {"e/plain", *(f"e/words (step {step})" for step in range(3))}
    for name, block in blocks.items():
        body, _ = board.bytes("data/plugin/projector/tensor", run=more, name=name, num_rows=100)
        np.testing.assert_array_equal(np.frombuffer(body, np.float32).reshape(6, 4), VECTORS)
        body, _ = board.bytes("data/plugin/projector/metadata", run=more, name=name, num_rows=100)
        assert body.decode().splitlines() == (
            list("abcdef") if name == "e/plain" else ["id\tword", *(f"{i}\tw{i}" for i in range(6))]
        )
        if name != "e/plain":
            assert block["sprite"]["singleImageDim"] == [5, 3]
            body, _ = board.bytes("data/plugin/projector/sprite_image", run=more, name=name)
            assert Image.open(io.BytesIO(body)).size == (15, 9)


@pytest.mark.usefixtures("more")
def test_every_tab_of_these_kinds_is_active(board):
    names = ("audio", "images", "histograms", "text", "pr_curves", "mesh", "custom_scalars", "graphs", "projector")
    board.wait_for(lambda: board.json("data/plugins_listing"), lambda tabs: all(tabs[name]["enabled"] for name in names))

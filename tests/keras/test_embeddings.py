"""The vectors of Embedding layers are written for the Projector, with what is known of their rows."""

import re

import keras
import numpy as np
import pytest

import multiboard as mb
from multiboard_keras.embeddings import Embeddings

LABELS = [f"w{i}" for i in range(6)]


class Positions(keras.layers.Layer):
    """Adds a vector for each place to that of each token."""

    def __init__(self, **options):
        super().__init__(**options)
        self.tokens = keras.layers.Embedding(6, 4, name="tokens")
        self.places = keras.layers.Embedding(5, 4, name="places")

    def call(self, numbers):
        return self.tokens(numbers) + self.places(keras.ops.arange(5))


class Reader(keras.Model):
    """A subclassed model with an embedding of its own and two inside a layer."""

    def __init__(self):
        super().__init__()
        self.positions = Positions(name="positions")
        self.kinds = keras.layers.Embedding(3, 2, name="kinds")
        self.out = keras.layers.Dense(1, name="out")

    def call(self, numbers):
        sums = keras.ops.concatenate([self.positions(numbers), self.kinds(numbers % 3)], axis=-1)
        return self.out(keras.ops.mean(sums, axis=1))


def make_reader():
    layers = keras.layers
    return keras.Sequential(
        [keras.Input((5,), dtype="int32"), layers.Embedding(6, 4, name="words"), layers.Flatten(), layers.Dense(1)]
    )


@pytest.fixture
def fit(tmp_path):
    """Train a model for two epochs and log its embeddings at the end of each; return run directory and vectors by epoch."""

    def train(embeddings, model):
        keras.utils.set_random_seed(0)
        model.compile("sgd", "mse")
        x, y = np.random.default_rng(0).integers(0, 6, (40, 5)), np.arange(40.0)[:, None] / 40
        held = []
        with mb.Run(tmp_path / "run") as run:

            def log(epoch, _):
                embeddings.log(model, run, 10 * (epoch + 1))
                held.append({v.path.split("/")[-2]: np.array(v) for v in model.weights if v.name == "embeddings"})

            begin = keras.callbacks.LambdaCallback(on_train_begin=lambda _: embeddings.check(model), on_epoch_end=log)
            model.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=[begin])
        return tmp_path / "run", held

    return train


@pytest.fixture
def write(tmp_path):
    """Log the embeddings of a model that was never trained; return the run directory and the vectors."""

    def log(metadata, steps=(20,)):
        model, embeddings = make_reader(), Embeddings(metadata)
        embeddings.check(model)
        with mb.Run(tmp_path / "run") as run:
            for step in steps:
                embeddings.log(model, run, step)
        return tmp_path / "run", np.array(model.layers[0].embeddings)

    return log


def vectors(log_dir, layer, step):
    return np.loadtxt(log_dir / "projector" / layer / str(step) / "tensors.tsv", dtype=np.float32, ndmin=2)


def metadata(log_dir, layer="words", step=20):
    file = log_dir / "projector" / layer / str(step) / "metadata.tsv"
    return file.read_text().splitlines() if file.exists() else None


def test_the_vectors_are_those_at_the_end_of_each_epoch(fit):
    log_dir, held = fit(Embeddings(), make_reader())
    for epoch in range(2):
        np.testing.assert_array_equal(vectors(log_dir, "words", 10 * (epoch + 1)), held[epoch]["words"])
    assert not np.array_equal(held[0]["words"], held[1]["words"])
    assert metadata(log_dir) is None


def test_embeddings_inside_layers_and_subclassed_models_are_found(fit):
    log_dir, held = fit(Embeddings({"kinds": list("abc"), "positions/places": range(5)}), Reader())
    for path in ("kinds", "positions%2Ftokens", "positions%2Fplaces"):
        np.testing.assert_array_equal(vectors(log_dir, path, 20), held[1][path.split("%2F")[-1]])
    assert metadata(log_dir, "kinds") == list("abc")
    assert metadata(log_dir, "positions%2Fplaces") == list("01234")
    assert metadata(log_dir, "positions%2Ftokens") is None


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (LABELS, LABELS),
        ([[i, w] for i, w in enumerate(LABELS)], ["label 0\tlabel 1", *(f"{i}\t{w}" for i, w in enumerate(LABELS))]),
        ({"labels": [[i, w] for i, w in enumerate(LABELS)], "columns": ["id", "word"]},
         ["id\tword", *(f"{i}\t{w}" for i, w in enumerate(LABELS))]),
    ],
)  # fmt: skip
def test_labels_may_be_a_list_or_rows_with_names_and_the_dict_stays_as_it_is(write, rows, expected):
    given = {"words": rows}
    log_dir, _ = write(given)
    assert metadata(log_dir) == expected
    assert given == {"words": rows}


def test_a_sprite_goes_with_the_vectors(write):
    sprite = np.zeros((6, 2, 3, 1), np.uint8)
    log_dir, _ = write({"words": {"sprite": sprite}})
    assert "single_image_dim: 3\n    single_image_dim: 2" in (log_dir / "projector_config.pbtxt").read_text()


@pytest.mark.parametrize("text", ["\n".join(LABELS), "id\tword\r\n" + "".join(f"{i}\t{w}\r\n" for i, w in enumerate(LABELS))])
@pytest.mark.parametrize("for_all", [True, False])
def test_a_file_in_the_run_directory_gives_labels(write, tmp_path, text, for_all):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "words.tsv").write_bytes(text.encode())
    log_dir, _ = write("words.tsv" if for_all else {"words": "words.tsv"})
    assert metadata(log_dir) == text.splitlines()


@pytest.mark.parametrize(
    ("text", "problem"),
    [(None, "cannot be read [(]FileNotFoundError"), ("a\nb\n", "has 2 rows, where 6 are needed"),
     ("a\tb\n" + "1\n" * 6, "different numbers of cells")],
)  # fmt: skip
def test_a_file_that_does_not_fit_is_said_once_and_the_vectors_are_written(write, tmp_path, text, problem):
    file = tmp_path / "elsewhere.tsv"
    if text is not None:
        file.write_text(text)
    with pytest.warns(mb.MultiboardWarning) as said:
        log_dir, held = write(file, steps=(10, 20))
    (message,) = [str(warning.message) for warning in said if "elsewhere.tsv" in str(warning.message)]
    assert re.search(problem, message)
    np.testing.assert_array_equal(vectors(log_dir, "words", 20), held)
    assert metadata(log_dir) is None


@pytest.mark.parametrize(
    ("rows", "message"),
    [({"word": LABELS}, "the Embedding layers of this model are: 'words'. Did you mean 'words'"),
     ({"words": LABELS[:5]}, "layer 'words' has 6 rows"),
     ({"words": {"sprite": np.zeros((5, 2, 2))}}, "layer 'words' has 6 rows"),
     ({"words": {"label": LABELS}}, "pass a file name, a list of labels"),
     ({"words": 3}, "pass a file name, a list of labels"),
     (3, "pass a file name, or a dict")],
)  # fmt: skip
def test_metadata_that_cannot_be_meant_are_refused(write, rows, message):
    with pytest.raises(mb.ArgumentError, match=message):
        write(rows)


def test_a_name_that_no_layer_has_is_said_when_the_model_could_not_be_asked_before(tmp_path):
    model = Reader()
    embeddings = Embeddings({"kind": list("abc")})
    embeddings.check(model)
    model(np.zeros((1, 5), "int32"))
    with mb.Run(tmp_path) as run, pytest.warns(mb.MultiboardWarning, match=r"name a layer 'kind'; .* Did you mean 'kinds'"):
        embeddings.log(model, run, 0)
    assert vectors(tmp_path, "kinds", 0).shape == (3, 2)

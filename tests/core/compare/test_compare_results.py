"""A comparison is a table, a text, JSON, or an error that names the first divergence; a mistake is an error that says so."""

import doctest
import json

import numpy as np
import pytest

import multiboard as mb
from multiboard import tags
from multiboard.compare import comparison, comparison_text, notes, tolerances
from multiboard.graph.ir import TensorSpec
from multiboard.graph.recorder import Recorder, Weight
from multiboard.testing import assert_runs_close


def test_tables_hold_the_same_rows_in_every_form(trained):
    found = mb.compare(trained("a"), trained("b", rate=0.2))
    for table in (found.layers, found.scalars):
        rows = list(table)
        assert repr([table[index] for index in range(len(table))]) == repr(rows)
        assert repr(table[-2:]) == repr(rows[-2:])
        columns = (column.tolist() for column in table.columns().values())
        assert repr([*zip(*columns, strict=True)]) == repr([tuple(row) for row in rows])


def test_json_is_strict_and_has_the_divergence(tmp_path):
    for name, value in (("a", 1.0), ("b", np.inf)):
        with mb.Run(tmp_path / name) as run:
            run.log({"train/loss": value}, 0)
    content = json.loads(mb.compare(tmp_path / "a", tmp_path / "b").to_json(), parse_constant=pytest.fail)
    assert content["divergence"][0]["distance"] == "inf"
    assert content["code"] == 1


def test_gradients_of_another_stage_are_told_if_they_part(tmp_path):
    for name, stage, factor in (("a", "before clipping", 1.0), ("b", "after clipping", 0.5), ("c", "after clipping", 1.0)):
        with mb.Run(tmp_path / name) as run:
            run.histogram("grads/fc/kernel", factor * np.arange(9), 0, description=tags.description("fc.weight", "Linear", stage))
    found = mb.compare(tmp_path / "a", tmp_path / "b")
    assert [one[1:5] for one in found.gate] == [("gradients", "fc/kernel", "before clipping", "after clipping")]
    assert mb.compare(tmp_path / "a", tmp_path / "c").gate == ()


def test_parameters_that_only_the_graph_of_one_run_knows_are_no_mismatch(trained, tmp_path):
    recorder = Recorder()
    for layer in ("first", "second", "frozen"):
        weight = Weight(layer, "kernel", f"{layer}/kernel", layer, TensorSpec((64, 16), "float32"), 1024, trainable=True)
        recorder.weight(weight, (recorder.frame("module", "Net", "Net"), recorder.frame("module", layer, "Linear")))
    with mb.Run(trained("a")) as run:
        run.graph(recorder.finish("torch"))
    found = mb.compare(tmp_path / "a", trained("b"))
    assert found.gate == ()
    assert found.code == 0, str(found)


def test_damaged_files_are_told(trained):
    a, b = trained("a"), trained("b")
    (file,) = b.iterdir()
    file.write_bytes(file.read_bytes()[:-7])
    found = mb.compare(a, b)
    assert "records of b that are damaged: 1" in [note.text for note in found.notes]
    assert found.code == 0


def test_the_error_of_an_assertion_names_the_step_and_the_layer(trained):
    changed = trained("b", change=lambda step, name, g: g * 1.3 if step >= 3 and name == "second" else g)
    with pytest.raises(AssertionError, match=r"first in grads second/kernel at step 3, the last compared step .* is 2"):
        assert_runs_close(trained("a"), changed)


def test_the_function_can_be_called_whatever_was_imported_before(trained, run_python):
    code = """if True:
        import sys, multiboard as mb
        assert "multiboard.compare" not in sys.modules
        first = mb.compare
        import multiboard.compare.tables
        import multiboard.testing
        from multiboard import compare
        assert first is compare is mb.compare
        assert compare(sys.argv[1], sys.argv[1]).code == 0
    """
    done = run_python(code, trained("a"))
    assert done.returncode == 0, done.stderr


def test_the_model_of_rounding_follows_the_types_of_the_weights(tmp_path):
    for dtype in ("float32", "bfloat16"):
        weight = Weight(dtype, "kernel", "fc/kernel", "fc.weight", TensorSpec((2, 2), dtype), 4, trainable=True)
        recorder = Recorder()
        recorder.weight(weight, (recorder.frame("module", "Net", "Net"), recorder.frame("module", "fc", "Linear")))
        with mb.Run(tmp_path / dtype) as run:
            run.graph(recorder.finish("torch"))
            run.log({"train/loss": 1.0}, 0)
    assert "bf16" in mb.compare(tmp_path / "bfloat16", tmp_path / "float32").noise
    assert "f32" in mb.compare(tmp_path / "float32", tmp_path / "bfloat16").noise


def test_runs_can_be_given_as_they_were_read(trained):
    a, b = trained("a"), trained("b")
    assert mb.compare(mb.read(a)["."], mb.read(b)["."]).names == ("a", "b")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tolerance": {"grad": 1}}, "did you mean 'grads'"),
        ({"tolerance": -1}, "relative difference from 0"),
        ({"tolerance": "missing.toml"}, "cannot be read"),
        ({"kinds": ["gradients"]}, "the kinds are"),
        ({"noise": "f8"}, "models are f32 and bf16"),
        ({"noise": []}, "pass repeats"),
        ({"layers": {"first": "nowhere"}}, "nowhere"),
        ({"layers": "missing.toml"}, "cannot be read"),
    ],
)
def test_a_mistake_is_one_clear_error(trained, arguments, message):
    with pytest.raises(mb.ArgumentError, match=message):
        mb.compare(trained("a"), trained("b"), **arguments)


def test_a_directory_of_several_runs_and_one_without_any_are_errors(trained, tmp_path):
    trained("both/a"), trained("both/b")
    with pytest.raises(mb.ArgumentError, match="holds 2 runs; name one"):
        mb.compare(tmp_path / "both", tmp_path / "both")
    with pytest.raises(mb.ReadError, match="holds no event files"):
        mb.compare(tmp_path / "both/a", tmp_path / "none")


@pytest.mark.parametrize("module", [comparison, comparison_text, notes, tolerances])
def test_the_examples_in_docstrings_are_true(module):
    assert doctest.testmod(module).failed == 0

"""A reference that computes more exactly tells which of two runs is wrong, and when both are wrong alike."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import multiboard as mb
from multiboard.errors import ArgumentError
from multiboard.testing import assert_runs_close


def scaled(factor):
    """Return a change of the gradients of the second layer from step 2 on."""
    return lambda step, name, gradient: gradient * factor if step >= 2 and name == "second" else gradient


@pytest.fixture
def reference(trained):
    return trained("reference")


def verdicts(found, kind="grads"):
    return {(row.name, row.verdict) for row in found.oracle if row.kind == kind and row.step >= 2}


def test_two_runs_with_one_mistake_agree_and_are_not_called_close(trained, reference):
    a, b = trained("a", change=scaled(1.3)), trained("b", change=scaled(1.3001))
    assert mb.compare(a, b).code == 0
    found = mb.compare(a, b, oracle=reference)
    assert found.code == 1
    first = found.same_wrong[0]
    assert (first.kind, first.name, first.step, first.verdict) == ("grads", "second/kernel", 2, "same wrong")
    assert first.error_a == pytest.approx(0.3, rel=0.01)
    assert first.apart < 1e-3
    assert "same wrong: grads second/kernel at step 2" in str(found)
    with pytest.raises(AssertionError, match="same wrong"):
        found.assert_close()
    assert_runs_close(a, b)
    with pytest.raises(
        AssertionError, match=r"same wrong: grads second/kernel at step 2: theirs is 0.3 from reference, ours 0.3"
    ):
        assert_runs_close(a, b, names=["theirs", "ours"], oracle=reference)
    assert verdicts(found) == {("second/kernel", "same wrong"), ("first/kernel", "")}


@pytest.mark.parametrize(
    ("factors", "verdict"),
    [((1.3, 1.0), "baseline wrong"), ((1.0, 1.3), "other wrong"), ((1.3, 0.7), "both wrong"), ((1.0, 1.0), "")],
)
def test_the_wrong_run_is_told(trained, reference, factors, verdict):
    a, b = (trained(name, change=scaled(factor)) for name, factor in zip("ab", factors, strict=True))
    found = mb.compare(a, b, oracle=reference)
    assert verdicts(found) == {("second/kernel", verdict), ("first/kernel", "")}
    assert found.same_wrong == ()
    assert found.code == (1 if verdict else 0)


def test_losses_are_compared_with_the_reference_too(trained, reference):
    a, b = (trained(name, change=scaled(3.0)) for name in "ab")
    found = mb.compare(a, b, oracle=reference)
    assert ("loss", "train/loss") in {(row.kind, row.name) for row in found.same_wrong}


def test_elements_show_a_mistake_that_distributions_hide(tmp_path):
    kernel = np.random.default_rng(0).normal(size=(2, 16, 16)).astype(np.float32)

    def write(name, first):
        with mb.Run(tmp_path / name) as run:
            for path, values in (("fc", first), ("out", kernel[1])):
                run.histogram(f"params/{path}/kernel", values, 0)
                run.tensor(f"exact/params/{path}/kernel", values, 0, description="`kernel`; float32 [16, 16]")
        return tmp_path / name

    a, b, reference = write("a", kernel[0].T), write("b", kernel[0].T), write("reference", kernel[0])
    assert mb.compare(a, b).code == 0
    assert [(row.name, row.step) for row in mb.compare(a, b, oracle=reference).same_wrong] == [("fc/kernel", 0)]


def test_a_reference_of_another_model_does_not_count_as_parity(trained, tmp_path):
    with mb.Run(tmp_path / "other") as run:
        run.log({"accuracy": 0.5}, 0)
    found = mb.compare(trained("a"), trained("b"), oracle=tmp_path / "other")
    assert found.code == 2
    assert any("reference" in note.text for note in found.notes)


def test_json_and_junit_tell_it(trained, reference):
    found = mb.compare(*(trained(name, change=scaled(1.3)) for name in "ab"), oracle=reference)
    told = json.loads(found.to_json())["oracle"]
    assert told["run"] == "reference"
    assert told["same_wrong"][0]["name"] == "second/kernel"
    cases = ET.fromstring(found.to_junit())  # noqa: S314  # our own text
    assert [case.get("name") for case in cases if case.find("failure") is not None] == ["reference"]


@pytest.mark.parametrize("of", ["the baseline", "the other run", "its own"])
def test_layers_that_were_named_belong_together_in_the_reference_too(trained, of):
    ours, theirs, own = ("up", "mid", "down"), ("dense", "dense_1", "dense_2"), ("x", "y", "z")
    a, b = trained("a", names=ours), trained("b", names=theirs, seed=1)
    reference = trained("reference", names={"the baseline": ours, "the other run": theirs, "its own": own}[of], seed=2)
    layers = dict(zip(ours, reversed(theirs), strict=True))
    both = {"b": layers, "reference": dict(zip(ours, own, strict=True))} if of == "its own" else layers
    rows = mb.compare(a, b, oracle=reference, layers=both, kinds=["grads"]).oracle
    assert {row.name for row in rows} == {f"{name}/kernel" for name in ours}


def test_a_reference_that_is_no_run_is_an_error(trained):
    with pytest.raises(ArgumentError, match="run"):
        mb.compare(trained("a"), trained("b"), oracle=3)


def test_without_a_reference_there_is_no_table(trained):
    found = mb.compare(trained("a"), trained("b"))
    assert len(found.oracle) == 0
    assert found.layers is found.layers
    assert "against" not in "".join(str(found).splitlines()[1:])

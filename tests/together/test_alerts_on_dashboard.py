"""Alerts, console and environment are texts that TensorBoard shows as they are meant."""

import contextlib
import io
import warnings

import pytest

import multiboard as mb
from multiboard.errors import MultiboardWarning


@pytest.fixture(scope="module")
def told(board_dir):
    """The name of a run that has given an alert, printed and described its environment."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore", MultiboardWarning)
        with mb.Run(board_dir / "told", alerts=True, console=True, environment=True) as run:
            for step in range(4):
                run.log({"train/loss": 1.0 if step < 3 else float("nan")}, step)
            run.flush()
            for _ in range(200):
                print("of many")  # noqa: T201
            run.flush()  # makes a text of so many prints
            print("<b>not bold</b>  # no heading")  # noqa: T201
    return "told"


def texts_of(board, run, tag, count):
    return board.wait_for(lambda: board.json("data/plugin/text/text", run=run, tag=tag), lambda found: len(found) == count)


def text_of(board, run, tag):
    (text,) = texts_of(board, run, tag, 1)
    return text


def test_an_alert_is_a_text_with_lists_at_its_step(board, told):
    text = text_of(board, told, "alerts/nonfinite")
    assert text["step"] == 3
    assert "<h3>NaN or infinite values at step 3</h3>" in text["text"]
    assert "<strong>Usual reasons</strong>" in text["text"]
    assert "<li>tag <code>train/loss</code>: nan</li>" in text["text"]


def test_what_was_printed_is_shown_as_it_was(board, told):
    *_, text = texts_of(board, told, "console", 2)
    assert "&lt;b&gt;not bold&lt;/b&gt;  # no heading" in text["text"]
    assert "<pre><code>" in text["text"]


def test_texts_that_were_printed_at_one_step_are_all_shown(board, told):
    first, second = texts_of(board, told, "console", 2)
    assert first["text"].count("of many") == 200
    assert (first["step"], second["step"]) == (3, 4)


def test_the_environment_is_a_table_and_blocks(board, told):
    text = text_of(board, told, "run/environment")
    assert "<td><code>" in text["text"]
    assert "tensorboard==" in text["text"]
    assert text["text"].count("<pre><code>") == 3

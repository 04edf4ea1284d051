"""A layout is given once."""

import pytest

import multiboard as mb

LAYOUT = {"losses": {"both": ["Multiline", ["train/loss", "val/.*"]], "band": ["Margin", ["mean", "low", "high"]]}}


def test_a_second_layout_is_refused(log_dir):
    with mb.Run(log_dir) as run:
        run.layout(LAYOUT)
        with pytest.raises(mb.ValueKindError, match="this run has this layout already"):
            run.layout(LAYOUT)


@pytest.mark.parametrize(
    "layout",
    [
        ["Multiline"],
        {"c": ["Multiline", ["x"]]},
        {"c": {"t": ["Lines", ["x"]]}},
        {"c": {"t": ["Margin", ["x", "y"]]}},
        {"c": {"t": ["Multiline"]}},
        {"c": {"t": ["Multiline", [1]]}},
    ],
)
def test_another_form_is_refused_with_the_right_one(log_dir, layout):
    with mb.Run(log_dir) as run, pytest.raises(mb.ArgumentError, match=r"\['Multiline', \[tag patterns\]\]"):
        run.layout(layout)

"""One vocabulary says where a gradient was seen, and compare reads it out of descriptions."""

import pytest

from multiboard import tags
from multiboard.errors import ArgumentError


@pytest.mark.parametrize("stage", tags.GRADIENT_STAGES)
@pytest.mark.parametrize("detail", ["", "of some kind, and more"])
@pytest.mark.parametrize("behind", ["", " (also `b.weight`)", "; one in 3 values"])
def test_a_description_gives_back_its_stage(stage, detail, behind):
    text = tags.gradient_stage(stage, detail)
    assert tags.stage_of(tags.description("a.weight", "Linear", text) + behind) == text


@pytest.mark.parametrize("stage", ["after cliping", "", "clipped", "after clipping (by value"])
def test_a_stage_is_one_of_a_few(stage):
    with pytest.raises(ArgumentError, match="use one of"):
        tags.gradient_stage(stage)


def test_a_mistyped_stage_gets_a_hint():
    with pytest.raises(ArgumentError, match="Did you mean 'after clipping'"):
        tags.gradient_stage("after cliping")


def test_a_stage_may_come_with_its_detail():
    assert tags.gradient_stage("after clipping (by value)") == "after clipping (by value)"

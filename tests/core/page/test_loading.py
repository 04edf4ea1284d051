"""Which runs a page shows, and what they are called."""

import os

import pytest

import multiboard as mb
from multiboard.page.loading import load


@pytest.fixture
def tree(tmp_path):
    """A directory above two runs, and one with one of the same name."""
    for name in ("one/flax", "one/torch", "two/torch"):
        with mb.Run(tmp_path / name) as run:
            run.log({"x": 1.0}, 0)
    return tmp_path


def test_a_directory_above_runs_stands_for_all_of_them(tree):
    assert list(load([tree / "one"])) == ["flax", "torch"]


def test_runs_are_called_by_the_ends_of_their_paths(tree):
    assert list(load([tree / "one/torch", tree / "one/flax"])) == ["torch", "flax"]
    assert list(load([tree / "one/torch", tree / "two/torch"])) == ["one/torch", "two/torch"]
    assert list(load([tree / "one/torch"])) == ["torch"]


def test_several_directories_above_runs_begin_their_names(tree):
    assert list(load([tree / "one", tree / "two"])) == ["one/flax", "one/torch", "two/torch"]


def test_what_was_read_of_directories_above_runs_has_the_names_that_the_directories_have(tree):
    assert list(load([mb.read(tree / "one"), mb.read(tree / "two")])) == ["one/flax", "one/torch", "two/torch"]
    assert list(load([mb.read(tree / "one/torch"), mb.read(tree / "two/torch")])) == ["one/torch", "two/torch"]


def test_the_baseline_comes_first(tree):
    assert list(load([tree / "one"], "torch")) == ["torch", "flax"]
    with pytest.raises(mb.ArgumentError, match="Did you mean 'torch'"):
        load([tree / "one"], "troch")


def test_a_run_that_is_given_twice_is_a_mistake(tree):
    with pytest.raises(mb.ArgumentError, match="the same run was given twice"):
        load([tree / "one", tree / "one/torch"])
    with pytest.raises(mb.ArgumentError, match="the same run was given twice"):
        load([tree / "two" / ".." / "one/torch", tree / "one/torch"])


def test_nothing_and_something_else_are_mistakes(tree):
    for sources, told in (([], "name a run directory"), ([7], "pass a directory")):
        with pytest.raises(mb.ArgumentError, match=told):
            load(sources)
    with pytest.raises(mb.ReadError):
        load([tree / "three"])


def test_what_was_read_already_is_taken_as_it_is(tree):
    runs = mb.read(tree / "one")
    assert load([runs]) == dict(runs)
    assert list(load([runs["torch"]])) == ["torch"]


@pytest.mark.skipif(os.name != "posix", reason="names of files are texts there")
def test_a_name_that_is_no_text_becomes_one(tree):
    (tree / "one/torch").rename(tree / "one" / os.fsdecode(b"\xff"))
    assert list(load([tree / "one"])) == ["flax", "\ufffd"]

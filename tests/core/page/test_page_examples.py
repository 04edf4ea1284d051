"""The examples in the docstrings do what they say."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["archive", "histograms", "limits", "media", "notebook", "pack", "well_formed"])
def test_the_examples_of_the_page_do_what_they_say(name):
    found = doctest.testmod(importlib.import_module(f"multiboard.page.{name}"))
    assert found.attempted
    assert not found.failed

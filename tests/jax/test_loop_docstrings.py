"""The examples in the docstrings of the loop and of what belongs to it are true."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize("module", ["loop", "memory", "meter", "reads"])
def test_the_examples_in_docstrings_are_true(module):
    result = doctest.testmod(importlib.import_module(f"multiboard_jax.{module}"))
    assert result.failed == 0
    assert result.attempted

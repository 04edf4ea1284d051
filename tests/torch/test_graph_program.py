"""The example of graphs runs, and its graphs are read back."""

import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import multiboard as mb

EXAMPLE = Path(__file__).parents[2] / "examples" / "torch_graph.py"


def test_the_example_of_graphs_writes_three_of_them(tmp_path):
    subprocess.run([sys.executable, str(EXAMPLE), "--log-dir", str(tmp_path)], check=True, timeout=120, capture_output=True)
    run = mb.read(tmp_path)["."]
    views = {"layer", "api", "op", "flops"}
    assert set(run.graphs) == {"Default"} | views | {f"{tag}/{view}" for tag in ("step", "evaluation") for view in views}
    assert all("encoder" in run.texts[tag].value[0] for tag in run.texts if tag.endswith("graph/summary"))


@pytest.mark.parametrize("name", ["graph", "tracing.native", "tracing.weights", "layers"])
def test_the_examples_in_docstrings_are_true(name):
    result = doctest.testmod(importlib.import_module(f"multiboard_torch.{name}"))
    assert result.attempted
    assert not result.failed

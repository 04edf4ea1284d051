"""The public surface is what it says, and what is missing says how to get it."""

import doctest
import importlib
import importlib.util
import subprocess
import sys

import pytest

import multiboard as mb

DOCUMENTED = [
    "buckets",
    "checksums",
    "encode",
    "fields",
    "files",
    "media",
    "reader",
    "records",
    "rows",
    "run",
    "summary_writer",
    "tags",
    "wire",
    "writer.files",
]
DOCUMENTED += ["clu.lines", "clu.metric_writer", "directories", "metric_names"]
DOCUMENTED += [f"kinds.{kind}" for kind in ("audio", "pr_curve", "table", "video")] + ["surface.structures"]
DOCUMENTED += ["alerts.options", "alerts.loss_spike", "console_text", "environment", "facts.masking"]


def test_every_public_name_exists_and_is_documented():
    for name in mb.__all__:
        assert getattr(mb, name).__doc__ or name == "__version__", name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Runn'"):
        _ = mb.Runn


@pytest.mark.parametrize("module", DOCUMENTED)
def test_the_examples_in_docstrings_are_true(module):
    result = doctest.testmod(importlib.import_module(f"multiboard.{module}"))
    assert result.failed == 0


@pytest.mark.parametrize(
    ("facade", "module", "extra"), [("torch", "torch", "torch"), ("jax", "jax", "jax"), ("keras", "keras", "keras")]
)
def test_a_facade_without_its_framework_names_the_extra(facade, module, extra):
    """The framework is blocked, whether it is installed or not."""
    code = f"import sys; sys.modules[{module!r}] = None; import multiboard.{facade}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert f"pip install 'multiboard[{extra}]'" in done.stderr.splitlines()[-1]


def test_the_command_without_click_names_the_extra():
    code = "import sys; sys.modules['click'] = None; import multiboard.cli"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "pip install 'multiboard[cli]'" in done.stderr


def test_the_package_is_marked_as_typed():
    for package in ("multiboard", "multiboard_torch", "multiboard_jax", "multiboard_keras", "multiboard_bridges"):
        spec = importlib.util.find_spec(package)
        assert spec.origin
        assert (importlib.import_module("pathlib").Path(spec.origin).parent / "py.typed").exists()

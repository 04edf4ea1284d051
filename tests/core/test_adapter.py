"""Adapters are found by the model, without a framework being imported, and mirrors by name."""

import subprocess
import sys

import pytest

import multiboard as mb
from multiboard.mirrors import open_mirror


def run_program(program):
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)


def test_the_adapters_of_multiboard_are_listed_without_importing_a_framework():
    done = run_program(
        "import sys, multiboard as mb; found = mb.adapters(); "
        "print(*found, any(name in sys.modules for name in ('torch', 'jax', 'keras')), any(one.loaded for one in found.values()))"
    )
    assert done.stdout.split() == ["lightning", "transformers", "keras", "torch", "jax", "False", "False"], done.stderr


def test_a_model_of_no_framework_is_refused_with_what_there_is(tmp_path):
    with (
        mb.Run(tmp_path) as run,
        pytest.raises(mb.ArgumentError, match=r"argument 'model' got 3 \(int\); no adapter .* torch \("),
    ):
        mb.watch(3, None, run)


def test_a_run_that_is_none_is_refused():
    with pytest.raises(mb.ArgumentError, match="'run' got 'runs/first'"):
        mb.watch(object(), None, "runs/first")


def test_a_class_of_a_loaded_framework_is_recognized_and_its_framework_says_the_line(tmp_path, monkeypatch):
    class Model:
        pass

    fake = type(sys)("keras")
    fake.Model = Model
    monkeypatch.setitem(sys.modules, "keras", fake)
    with mb.Run(tmp_path, facts=False) as run, pytest.raises(mb.ArgumentError, match=r"multiboard\.keras\.TensorBoard"):
        mb.watch(Model(), None, run)


def test_a_mirror_whose_package_is_missing_is_an_install_hint(tmp_path):
    done = run_program(
        f"import sys; sys.modules['wandb'] = None; import multiboard as mb; mb.Run({str(tmp_path / 'run')!r}, mirror='wandb')"
    )
    assert done.stderr.splitlines()[-1].endswith("mirror='wandb' needs W&B: pip install 'multiboard[wandb]'")


def test_a_mirror_that_does_not_exist_is_refused_with_the_nearest_name(tmp_path):
    with mb.Run(tmp_path) as run, pytest.raises(mb.ArgumentError, match="Did you mean 'wandb'"):
        open_mirror("wandbb", run)

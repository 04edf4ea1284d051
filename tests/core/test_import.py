"""The core imports no framework, and a fresh interpreter proves it."""

import subprocess
import sys

import pytest

FRAMEWORKS = ["torch", "jax", "flax", "optax", "keras", "tensorflow", "tensorboard", "tensorboardX", "clu"]
OPTIONAL = ["click", "rich", "pandas", "polars", "pyarrow", "sklearn", "PIL", "scipy", "ml_dtypes", "onnx", "absl"]
USE_THE_CORE = """
import sys, tempfile
import multiboard as mb
with mb.Run(tempfile.mkdtemp(), config={"lr": 0.1}) as run:
    run.log({"train/loss": 0.5}, 0)
    run.histogram("h", [1.0, 2.0], 0)
    run.image("i", [[0.0, 1.0]], 0)
    run.text("t", "text", 0)
mb.read(run.log_dir)
from multiboard import clu, summary
with summary.create_file_writer(tempfile.mkdtemp()).as_default(step=0):
    summary.scalar("x", 1.0)
    summary.text("t", ["text"])
with clu.create_default_writer(tempfile.mkdtemp()) as writer:
    writer.write_scalars(0, {"x": 1.0})
with mb.SummaryWriter(tempfile.mkdtemp()) as writer:
    writer.add_scalar("x", 1.0, 0)
print(",".join(sorted({name.split(".")[0] for name in sys.modules})))
"""


def modules_after(code):
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return set(out.stdout.strip().split(","))


@pytest.fixture(scope="module")
def loaded():
    return modules_after(USE_THE_CORE)


@pytest.mark.parametrize("name", FRAMEWORKS + OPTIONAL)
def test_using_the_core_imports_no(name, loaded):
    assert name not in loaded


def test_importing_the_package_leaves_protobuf_and_the_reader_alone():
    code = "import sys, multiboard; print(','.join(sys.modules))"
    loaded = modules_after(code)
    unneeded = {"google.protobuf", "importlib.metadata"}
    names = "reader summary_writer global_summary_writer summary clu cli demo adapter_registry mirrors entry_points"
    unneeded |= {f"multiboard.{name}" for name in names.split()}
    assert not unneeded & loaded


def test_the_proof_proves_something():
    """An interpreter that does import a module of the list is caught."""
    assert "sqlite3" in modules_after(USE_THE_CORE.replace("import sys,", "import sqlite3, sys,"))

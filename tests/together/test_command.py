"""The command says in one sentence what is wrong, serves what it wrote, and leaves nothing behind."""

import re
import subprocess
import sys
import urllib.request

import numpy as np
import pytest

import multiboard as mb

DEMO = [sys.executable, "-m", "multiboard.cli", "demo"]


def run_demo(*arguments, **options):
    return subprocess.run([*DEMO, *arguments], capture_output=True, text=True, timeout=200, check=False, **options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "0"], "0 is not in the range"),
        (["--frameworks", "torch,tensorfow"], "'tensorfow' is none of torch, flax, keras"),
        (["--keras-backend", "numpy"], "'numpy' is not one of"),
    ],
)
def test_a_wrong_argument_is_one_sentence(arguments, message):
    done = run_demo(*arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_directory_with_runs_is_refused(tmp_path):
    mb.Run(tmp_path / "old").close()
    done = run_demo("--log-dir", str(tmp_path))
    assert done.returncode == 1
    assert "holds runs already" in done.stderr


def test_a_framework_that_is_missing_is_named_with_its_extra(tmp_path):
    code = "import sys; sys.modules['keras'] = None\nfrom multiboard.cli import main\nmain(['demo', '--log-dir', sys.argv[1]])"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "pip install 'multiboard[keras]'" in done.stderr


def test_a_training_that_fails_ends_the_demo_with_its_output(tmp_path):
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "torch").write_text("a file where the run directory must be")
    done = run_demo("--frameworks", "torch", "--steps", "2", "--log-dir", str(blocked))
    assert done.returncode == 1
    assert "training in torch ended with code 1" in done.stderr
    assert "LogDirError" in done.stderr


@pytest.mark.parametrize("backend", ["tensorflow", "torch"])
def test_keras_runs_on_every_backend_with_the_same_curves(tmp_path, backend):
    """JAX, the default, is what the other tests of the demo run."""
    done = run_demo(
        "--frameworks", "torch,keras", "--keras-backend", backend, "--steps", "6", "--every", "3", "--log-dir", str(tmp_path)
    )
    assert done.returncode == 0, done.stderr
    runs = mb.read(tmp_path)
    assert runs["keras"].hparams["framework"] == f"keras-{backend}"
    for kind in ("scalars", "histograms", "images", "texts"):
        ours, reference = (
            {tag: column.step.tolist() for tag, column in getattr(runs[run], kind).items() if not tag.startswith("perf/")}
            for run in ("keras", "torch")
        )
        assert ours == reference
    for metric in ("train/loss", "val/loss", "norm/grads", "norm/params"):
        np.testing.assert_allclose(runs["keras"].scalars[metric].value, runs["torch"].scalars[metric].value, rtol=1e-4)


def test_serve_starts_tensorboard_on_the_loopback_interface_and_says_where(tmp_path):
    # A test run in the background is started with SIGINT ignored, and hands that on.
    listen = "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    start = [sys.executable, "-c", listen + "runpy.run_module('multiboard.cli', run_name='__main__')", "demo"]
    command = [*start, "--frameworks", "torch", "--steps", "3", "--log-dir", str(tmp_path / "runs"), "--serve"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        address = next(match[0] for line in process.stdout if (match := re.search(r"http://127\.0\.0\.1:\d+/", line)))
        with urllib.request.urlopen(address + "data/runs", timeout=30) as response:
            assert b"torch" in response.read()
    finally:
        process.send_signal(2)
        assert process.wait(30) == 0
        process.stdout.close()

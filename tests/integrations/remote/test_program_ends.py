"""However a program ends, what it has logged on a URL is uploaded, and its child processes touch nothing."""

import os
import signal
import subprocess
import sys

import pytest

import multiboard as mb
from multiboard.urls import join

ENDS = {
    "without close": "",
    "by an exception": "raise ValueError('of the training')",
    "in a function": "del run",
}


IN_ITSELF = "sys.frozen = True\n"
"""A program that cannot start Python again works on the store in its own process."""


def run_program(tmp_path, url, text):
    script = tmp_path / "program.py"
    script.write_text(f"import os, sys\nimport multiboard as mb\nfrom multiboard.remote import RemoteOptions\n{text}")
    return subprocess.run([sys.executable, str(script), url], check=False, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("begin", ["", IN_ITSELF], ids=["two processes", "one process"])
@pytest.mark.parametrize("end", ENDS)
def test_a_program_uploads_what_it_has_logged_when_it_ends(end, begin, bucket, fetched, tmp_path):
    url = join(bucket, "first")
    text = f"{begin}run = mb.Run(sys.argv[1])\nrun.log({{'x': 1.0}}, 0)\n{ENDS[end]}\n"
    result = run_program(tmp_path, url, text)
    assert "Warning" not in result.stderr
    data = mb.read(fetched(url))["."]
    assert data.scalars["x"].value.tolist() == [1.0]
    if end != "in a function":
        assert data.status == ("failure" if end == "by an exception" else "success")
    assert not list((tmp_path / "state" / "multiboard" / "spool").iterdir())


@pytest.mark.usefixtures("s3_environment")
def test_sigterm_uploads_what_a_durable_run_has_written(fetched, tmp_path):
    url = f"file://{tmp_path}/store/first"
    text = """
import signal
run = mb.Run(sys.argv[1], durable=True)
run.log({'x': 1.0}, 0)
os.kill(os.getpid(), signal.SIGTERM)
"""
    assert run_program(tmp_path, url, text).returncode == -signal.SIGTERM
    data = mb.read(fetched(url))["."]
    assert data.scalars["x"].step.tolist() == [0]
    assert data.status == "failure"
    assert not list((tmp_path / "state" / "multiboard" / "spool").iterdir())


@pytest.mark.usefixtures("s3_environment")
@pytest.mark.parametrize("place", ["s3", "file"])
def test_a_thread_that_goes_on_after_the_main_program_logs_on(place, fetched, request, tmp_path):
    url = f"file://{tmp_path}/store/first" if place == "file" else join(request.getfixturevalue("bucket"), "first")
    text = """
import threading, time
run = mb.Run(sys.argv[1], remote=RemoteOptions(close_timeout=5))
def train():
    for step in range(5):
        time.sleep(0.1)
        run.log({'x': 1.0}, step)
threading.Thread(target=train).start()
"""
    result = run_program(tmp_path, url, text)
    assert "Warning" not in result.stderr
    assert mb.read(fetched(url))["."].scalars["x"].step.tolist() == list(range(5))
    assert not list((tmp_path / "state" / "multiboard" / "spool").iterdir())


@pytest.mark.parametrize("begin", ["", IN_ITSELF], ids=["two processes", "one process"])
def test_a_forked_process_neither_uploads_nor_holds_the_spool(begin, bucket, fetched, tmp_path):
    url = join(bucket, "first")
    text = f"""
{begin}
import time, warnings
warnings.simplefilter("ignore")
run = mb.Run(sys.argv[1], remote=RemoteOptions(upload_every=0.1))
run.log({{'x': 0.0}}, 0)
run.flush()
child = os.fork()
if not child:
    run.log({{'x': 9.0}}, 9)
    run.flush()
    run.close()
    time.sleep(30)
    os._exit(0)
run.log({{'x': 1.0}}, 1)
run.close()
print(os.path.isdir(run.log_dir))
os.kill(child, 9)
os.waitpid(child, 0)
"""
    result = run_program(tmp_path, url, text)
    assert result.stdout.strip() == "False", result.stderr
    assert mb.read(fetched(url))["."].scalars["x"].value.tolist() == [0.0, 1.0]


def test_a_forked_process_that_outlives_its_killed_parent_does_not_keep_the_spool(bucket, fetched, tmp_path):
    url = join(bucket, "first")
    text = """
import signal
run = mb.Run(sys.argv[1])
run.log({'x': 0.0}, 0)
run.flush()
child = os.fork()
if not child:
    os.close(1)
    os.close(2)
    signal.pause()
print(child, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    result = run_program(tmp_path, url, text)
    child = int(result.stdout)
    try:
        with mb.Run(url, resume=True) as run:
            assert run.start_step == 1
            run.log({"x": 1.0}, 1)
    finally:
        os.kill(child, signal.SIGKILL)
    assert mb.read(fetched(url))["."].scalars["x"].value.tolist() == [0.0, 1.0]


def test_a_run_in_a_directory_imports_nothing_of_remote_runs(tmp_path):
    text = """
import sys
import multiboard as mb
run = mb.Run(sys.argv[1])
run.log({'x': 1.0}, 0)
run.close()
print([name for name in sys.modules if 'fsspec' in name or 'remote' in name])
"""
    script = tmp_path / "program.py"
    script.write_text(text)
    result = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "run")], check=False, capture_output=True, text=True, timeout=60
    )
    assert result.stdout.strip() == "[]"

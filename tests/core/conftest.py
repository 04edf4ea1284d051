"""Fixtures of the core tests."""

import subprocess
import sys
import time

import pytest

import multiboard as mb


@pytest.fixture
def log_dir(tmp_path):
    return tmp_path / "run"


@pytest.fixture
def written(log_dir):
    """A function that runs `actions(run)` in a closed run and returns what its files hold."""

    def write(actions, **arguments):
        with mb.Run(log_dir, **arguments) as run:
            actions(run)
        return mb.read(log_dir)["."]

    return write


def _run_python(code, log_dir, *arguments, **options):
    """Run a program with the directory as its first argument; return it when it has ended."""
    command = [sys.executable, "-c", code, str(log_dir), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)


def _start_python(code, log_dir, *arguments):
    """Start a program and return it when it has printed its first line."""
    command = [sys.executable, "-c", code, str(log_dir), *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.readline()
    return process


def _end(process, action, timeout=60):
    """Do something to a process, wait for its end and return its exit status and what it wrote to stderr."""
    try:
        action(process)
        _, errors = process.communicate(timeout=timeout)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    return process.returncode, errors


def _steps(log_dir, tag="x"):
    return mb.read(log_dir)["."].scalars[tag].step.tolist()


def _wait_until(condition, seconds=30.0):
    """Wait for a condition; fail at the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition was never met"
        time.sleep(0.01)


@pytest.fixture
def run_python():
    """A function that runs a program, given the directory as its first argument, to its end."""
    return _run_python


@pytest.fixture
def start_python():
    """A function that starts a program and returns it when it has printed its first line."""
    return _start_python


@pytest.fixture
def end():
    """A function that does something to a process, waits for its end and returns its exit status and stderr."""
    return _end


@pytest.fixture
def steps():
    """A function that returns the steps of a tag of the run in a directory."""
    return _steps


@pytest.fixture
def wait_until():
    """A function that waits for a condition."""
    return _wait_until

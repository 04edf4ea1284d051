"""Fixtures of the core tests."""

import subprocess
import sys
import time

import pytest

import multiboard as mb
from multiboard.graph.ir import Node, TensorSpec
from multiboard.graph.recorder import Recorder, Weight


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


class Sketch:
    """A graph written down by hand.

    A scope is a text: 'Net:Net blocks 0:Block @linear' are the modules Net of class Net, blocks, 0 of class Block, and a call of
    linear; '#scan' is a region, and '~2' behind a part is a second call of it.
    """

    def __init__(self):
        self.recorder = Recorder()
        self._frames = {}

    def scope(self, text):
        frames = ()
        for depth, part in enumerate(text.split()):
            place = tuple(text.split()[: depth + 1])
            if place not in self._frames:
                kind = {"@": "call", "#": "region"}.get(part[0], "module")
                name, _, cls = part.partition("~")[0].lstrip("@#").partition(":")
                self._frames[place] = self.recorder.frame(kind, name, cls)
            frames += (self._frames[place],)
        return frames

    def op(self, scope, op, *inputs, outputs=((),), **fields):
        """Record a node; inputs are numbers of nodes, or pairs with an output. Outputs are shapes."""
        edges = tuple(edge if isinstance(edge, tuple) else (edge, 0) for edge in inputs)
        specs = tuple(TensorSpec(shape, "float32") for shape in outputs)
        return self.recorder.add(Node(op, self.scope(scope), edges, specs, **fields))

    def weight(self, scope, role, shape, *, trainable=True):
        size = 1
        for length in shape:
            size *= length
        name = f"{scope}/{role}"
        weight = Weight(name, role, name, name, TensorSpec(shape, "float32"), size, trainable=trainable)
        return self.recorder.weight(weight, self.scope(scope))

    def graph(self, **arguments):
        return self.recorder.finish("torch", **arguments)


@pytest.fixture
def sketch():
    """A graph to be written down by hand."""
    return Sketch()

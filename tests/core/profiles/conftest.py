"""A framework that is made up, with a profiler that can fail in every way."""

import contextlib
import sys
import time
import types
from pathlib import Path

import pytest

from multiboard.profile import frameworks, owner
from multiboard.profile.sessions import profiles_of
from multiboard.profile.tracer import Raw
from multiboard.profile.xspace import SpaceBuilder, write_space


class Toy:
    """What the profiler of the toy framework is asked to do, and what it does then.

    Attributes:
        calls: of its methods; a marker is its number.
        notes: among the facts of its traces.
        failures: by method, what it raises.
        requests: of all tracers.
    """

    def __init__(self):
        self.calls, self.failures, self.requests, self.notes = [], {}, [], []

    def call(self, name, *arguments):
        self.calls.append(arguments[0] if arguments else name)
        if name in self.failures:
            raise self.failures[name]

    def make_tracer(self, request):
        self.requests.append(request)
        self.call("make")
        self.calls.pop()
        return Tracer(self, request)

    def steps(self):
        """The steps that were marked, by window."""
        windows = []
        for call in self.calls:
            if call == "start":
                windows.append([])
            elif isinstance(call, int):
                windows[-1].append(call)
        return windows


class Tracer:
    def __init__(self, toy, request):
        self.toy, self.request = toy, request
        self.marks, self.inputs = [], []

    def prepare(self):
        self.toy.call("prepare")

    def start(self):
        self.toy.call("start")

    def step(self, number):
        self.marks.append((number, time.perf_counter_ns()))
        self.toy.call("step", number)

    def pause(self):
        self.toy.call("pause")

    @contextlib.contextmanager
    def input(self):
        self.toy.call("input")
        began = time.perf_counter_ns()
        yield
        self.inputs.append((began, time.perf_counter_ns()))

    def stop(self):
        self.toy.call("stop")
        path = Path(self.request.folder, "toy.xplane.pb")
        write_space(self._space(), path)
        return [Raw("xspace", str(path), "toy", {"notes": self.toy.notes})]

    def abort(self):
        self.toy.call("abort")

    def _space(self):
        builder = SpaceBuilder()
        line = builder.plane("/host:CPU").line(1, "main", 0)
        first = self.marks[0][1]
        ends = [began for _, began in self.marks[1:]] + [time.perf_counter_ns()]
        for (number, began), end in zip(self.marks, ends, strict=True):
            line.event("train", (began - first) * 1000, (end - began) * 1000, {"_r": 1, "step_num": number})
        return builder.space


@pytest.fixture
def toy(monkeypatch):
    """The toy framework, the only one that is loaded."""
    made = Toy()
    adapter = types.ModuleType("toy_adapter")
    adapter.make_tracer = made.make_tracer
    monkeypatch.setitem(sys.modules, "toy_adapter", adapter)
    monkeypatch.setitem(sys.modules, "toy", types.ModuleType("toy"))
    monkeypatch.setattr(frameworks, "ADAPTERS", {"toy": "toy_adapter"})
    yield made
    claims = owner._claims.copy()
    owner._claims.clear()
    assert not claims


@pytest.fixture
def sessions():
    """A function that returns the sessions of a run directory, and the files in them, by name."""

    def list_sessions(log_dir):
        found = sorted(profiles_of(log_dir).glob("*"))
        return {session.name: sorted(path.name for path in session.iterdir()) for session in found}

    return list_sessions

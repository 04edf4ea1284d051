"""What is broken in multiboard, or in a package that it needs, costs the Compare tab and nothing else."""

import json
import os
import subprocess
import sys
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import multiboard as mb

LOAD = """
import json, logging, sys, types
lines = []
handler = logging.Handler()
handler.emit = lambda record: lines.append(record.getMessage())
logging.getLogger("tensorboard").addHandler(handler)
from multiboard_tensorboard.loader import Loader
light = sorted(name for name in ("multiboard", "numpy", "google.protobuf", "grpc", "werkzeug") if name in sys.modules)
for name in sys.argv[1:]:
    sys.modules[name] = None
context = types.SimpleNamespace(data_provider=object(), multiplexer=None, logdir="", sampling_hints=None, flags=None)
print(json.dumps([light, type(Loader().load(context)).__name__, lines]))
"""


def load(*broken):
    """Return what the loader imports, what it loads, and what it says, where some modules cannot be imported."""
    out = subprocess.run([sys.executable, "-c", LOAD, *broken], capture_output=True, text=True, check=True, timeout=120)
    return json.loads(out.stdout.splitlines()[-1])


def test_tensorboard_finds_the_loader_among_its_plugins():
    (found,) = entry_points(group="tensorboard_plugins", name="multiboard")
    assert found.value == "multiboard_tensorboard.loader:Loader"


def test_the_loader_imports_nothing_of_multiboard_and_loads_the_plugin():
    assert load() == [[], "Plugin", []]


OF_OTHERS = ["google_crc32c", "numpy", "google.protobuf", "werkzeug"]
OURS = ["multiboard", "multiboard.page.parts", "multiboard_tensorboard.plugin"]


@pytest.mark.parametrize("broken", OF_OTHERS + OURS)
def test_what_cannot_be_imported_costs_the_tab_and_one_line(broken):
    _, loaded, lines = load(broken)
    assert loaded == "NoneType"
    assert len(lines) == 1
    assert lines[0].startswith("There is no Compare tab, for multiboard cannot be loaded: ")
    assert broken.partition(".")[0] in lines[0]
    assert "\n" not in lines[0]


@pytest.fixture
def broken_boards(tmp_path, monkeypatch, serving):
    """TensorBoard, by loader, over a run of multiboard, where importing multiboard itself raises."""
    with mb.Run(tmp_path / "runs" / "one") as run:
        run.scalar("train/loss", 0.5, 3)
    (tmp_path / "multiboard").mkdir()
    (tmp_path / "multiboard" / "__init__.py").write_text("raise RuntimeError('torn\\ninstallation')\n")
    before = [str(Path(path).absolute()) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *before]))
    monkeypatch.chdir(tmp_path)  # where `python -c` looks first
    with serving(tmp_path / "runs", tmp_path, tensorflow=False) as started:
        yield started


def test_tensorboard_serves_all_other_tabs_if_multiboard_raises_at_its_import(broken_boards):
    for board in broken_boards.values():
        points = board.ready().wait_for(partial(board.scalars, "one", "train/loss"), bool)
        assert [point[1:] for point in points] == [[3, 0.5]]
        listing = board.json("data/plugins_listing")
        assert listing["scalars"]["enabled"]
        assert "multiboard" not in listing
        (said,) = [line for line in board.output.read_text().splitlines() if "Compare tab" in line]
        assert said.endswith("There is no Compare tab, for multiboard cannot be loaded: RuntimeError: torn installation")

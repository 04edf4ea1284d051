"""Every snippet of docs/integrations.md does what it says: it runs as it stands there, and leaves runs that can be read."""

import re
from pathlib import Path

import pytest

import multiboard as mb

PAGE = Path(__file__).parents[2] / "docs" / "integrations.md"
SNIPPET = re.compile(r"(?:<!-- setup(?P<needs>[^\n]*)\n(?P<setup>.*?)-->\n\n)?```python\n(?P<code>.*?)```", re.DOTALL)
SECTIONS = dict(part.split("\n", 1) for part in PAGE.read_text().split("\n## ")[1:])

pytestmark = pytest.mark.filterwarnings("ignore", "error::multiboard.MultiboardWarning")


@pytest.fixture(autouse=True)
def fresh(tmp_path, monkeypatch):
    """A directory of its own, and no state of Accelerate and W&B behind it."""
    monkeypatch.chdir(tmp_path)
    for name in ("MODE", "SILENT", "CONSOLE"):
        monkeypatch.setenv(f"WANDB_{name}", "")
    yield
    forget_accelerate()


def forget_accelerate():
    state = pytest.importorskip("accelerate.state")
    for shared in (state.AcceleratorState, state.GradientState, state.PartialState):
        shared._reset_state()


@pytest.mark.parametrize("section", SECTIONS)
def test_the_snippet_of_a_library_runs_and_leaves_a_run(section, tmp_path, install_toynet):
    found = SNIPPET.search(SECTIONS[section])
    assert found, f"section {section!r} has no snippet"
    if (found["needs"] or "").strip() == "toynet":
        install_toynet()
    run_snippet(section, found["setup"], found["code"])
    runs = mb.read(tmp_path / "runs")
    assert any(run.scalars for run in runs.values())


def run_snippet(section, *parts):
    names = {"__name__": "snippet"}
    for part in parts:
        exec(compile(part or "", f"{PAGE.name}: {section}", "exec"), names)  # noqa: S102  # it is ours


OF_A_RUN = {"PyTorch", "JAX and Flax", "Weights & Biases", "Another framework"}
"""Their snippets give the directory to `mb.Run`, as the tests of remote storage do."""


@pytest.mark.parametrize("section", [section for section in SECTIONS if section not in OF_A_RUN])
def test_the_snippet_of_a_library_writes_to_a_url_as_to_a_directory(section, tmp_path, monkeypatch):
    pytest.importorskip("fsspec")
    monkeypatch.setenv("MULTIBOARD_SPOOL", str(tmp_path / "spool"))
    url = f"memory://{tmp_path.name}"
    found = SNIPPET.search(SECTIONS[section])
    run_snippet(section, *((found[part] or "").replace('"runs/', f'"{url}/') for part in ("setup", "code")))
    assert any(run.scalars for run in mb.read(url).values())
    assert not list(tmp_path.glob("memory*"))


def test_every_library_of_the_table_has_a_section():
    table = re.findall(r"^\| (.*?) \|", PAGE.read_text(), re.MULTILINE)[1:]
    named = {name for row in table for name in re.findall(r"\[(.*?)\]", row)}
    titles = {"W&B": "Weights & Biases", "another framework": "Another framework"}
    assert {titles.get(name, name) for name in named} == set(SECTIONS)


@pytest.mark.parametrize("section", SECTIONS)
def test_a_snippet_is_short_enough_to_copy(section):
    code = SNIPPET.search(SECTIONS[section])["code"]
    assert len([line for line in code.splitlines() if line]) <= 10

"""docs/cli.md names every command with all of its options, and its examples do what they say.

`python tests/together/test_cli_docs.py` writes the tables of options anew.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

import multiboard as mb
from multiboard import proto
from multiboard.cli import main
from multiboard.dashboard import free_port
from multiboard.profile.xspace import SpaceBuilder, write_space
from multiboard.records import frame

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
EXAMPLE = re.compile(r"^multiboard .*?(?= {2,}#|$)", re.MULTILINE)
ELSEWHERE = {"demo"}
"""Commands whose examples other tests run, because they take long: test_demo.py."""
MAY_FIND = {"doctor", "compare", "graph"}
"""Commands that end with 1 if they find something."""


def commands(group=main, name="multiboard"):
    """Return all commands by their names."""
    found = {}
    for part, command in group.commands.items():
        inner = f"{name} {part}"
        found |= commands(command, inner) if isinstance(command, click.Group) else {inner: command}
    return found


def options(command):
    """Return the rows of a table of the options of a command."""
    with click.Context(command) as context:
        records = [one.get_help_record(context) for one in command.params if isinstance(one, click.Option)]
    return [f"| `{_cell(name)}` | {_cell(text)} |" for name, text in filter(None, records)]


def _cell(text):
    return " ".join(text.split()).replace("|", "\\|")


def sections():
    """Return the text below each heading of a command."""
    parts = re.split(r"^## `(multiboard [\w ]+)`$", PAGE.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def examples():
    return [line.strip() for text in sections().values() for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
            for line in EXAMPLE.findall(block)]  # fmt: skip


def test_every_command_has_a_section_in_the_order_of_the_list():
    assert sorted(sections()) == sorted(commands())
    listed = re.findall(r"^\| \[`(multiboard [\w ]+)`\]", PAGE.read_text(), re.MULTILINE)
    assert listed == list(sections())


@pytest.mark.parametrize("name", commands())
def test_the_options_of_a_command_are_those_of_its_help(name):
    written = [line for line in sections()[name].splitlines() if line.startswith("| `-")]
    assert written == options(commands()[name]), "python tests/together/test_cli_docs.py writes the tables anew"


@pytest.mark.parametrize("name", commands())
def test_every_command_has_an_example(name):
    assert [line for line in examples() if line.startswith(name)]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with all that the examples name."""
    directory = tmp_path_factory.mktemp("examples")
    for name in ("torch", "flax", "old"):
        with mb.Run(directory / "runs" / name, config={"lr": 0.1}, max_file_bytes=10_000) as run:
            for step in range(30):
                run.log({"train/loss": 1 / (step + 1)}, step)
                run.histogram("params/kernel", np.arange(100.0), step)
                run.image("sample", np.zeros((4, 4, 3)), step)
    _add_graph(directory / "runs" / "torch")
    _add_graph(directory / "runs" / "flax")
    session = directory / "runs" / "torch" / "plugins" / "profile" / "step_000500"
    session.mkdir(parents=True)
    builder = SpaceBuilder()
    line = builder.plane("/host:CPU").line(1, "python", 0)
    line.event("train", 0, 10**9, {"_r": 1, "step_num": 500})
    write_space(builder.space, session / "rank0.xplane.pb")
    _write_trace(directory / "trace.json")
    (directory / "old").mkdir()
    events = [proto.Event(wall_time=1.0, file_version="brain.Event:2")]
    events += [proto.Event(wall_time=2.0, step=step, summary={"value": [{"tag": "x", "simple_value": 1.0}]}) for step in range(9)]
    (directory / "old" / "events.out.tfevents.1.host").write_bytes(b"".join(frame(one.SerializeToString()) for one in events))
    for file in (directory / "runs").rglob("*tfevents*"):
        os.utime(file, (time.time() - 86400,) * 2)
    return directory


def _add_graph(directory):
    import torch

    with mb.SummaryWriter(directory) as writer:
        writer.add_graph(torch.nn.Sequential(torch.nn.Linear(4, 2)), torch.zeros(1, 4))


def _write_trace(path):
    import torch

    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        torch.zeros(3) + 1
    profiler.export_chrome_trace(str(path))


@pytest.mark.parametrize("line", examples())
def test_an_example_does_what_it_says(place, line, monkeypatch, without_tensorflow):
    words = shlex.split(line)[1:]
    if words[0] in ELSEWHERE:
        assert CliRunner().invoke(main, [*words, "--help"]).exit_code == 0
        return
    monkeypatch.chdir(place)
    monkeypatch.setenv("MULTIBOARD_SPOOL", str(place / "spools"))
    if words[0] == "serve":
        _serve(words, without_tensorflow)
        return
    done = CliRunner().invoke(main, words, catch_exceptions=False)
    assert done.exit_code in ({0, 1} if words[0] in MAY_FIND else {0}), done.output
    assert done.output or "--csv" in words
    if "--json" in words:
        json.loads(done.stdout)


def _serve(words, environment):
    listen = "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    start = [sys.executable, "-c", listen + "runpy.run_module('multiboard.cli', run_name='__main__')"]
    place = words.index("--") if "--" in words else len(words)
    if "--port" in words:
        words[words.index("--port") + 1] = str(free_port())
    else:
        words[place:place] = ["--port", str(free_port())]
    process = subprocess.Popen([*start, *words], stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert any("TensorBoard runs at http://127.0.0.1:" in line for line in process.stdout)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 0


def write_tables():
    """Write the tables of options as they are now."""
    page = PAGE.read_text()
    for name, command in commands().items():
        table = "\n".join(["| option | what it does |", "|---|---|", *options(command)])
        begin = page.index(f"## `{name}`\n")
        end = page.find("\n## ", begin + 1)
        section = page[begin : end if end >= 0 else None]
        new = re.sub(r"\n\| option \|.*?(?=\n\n|\n?\Z)", lambda _: "\n" + table, section, count=1, flags=re.DOTALL)  # noqa: B023
        page = page.replace(section, new)
    PAGE.write_text(page)


if __name__ == "__main__":
    write_tables()

"""The facts of a run say what is so; they import nothing, raise nothing, tell no secret, and wait for nobody."""

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

FRAMEWORKS = {"torch", "jax", "jaxlib", "flax", "optax", "keras", "tensorflow"}
SCRIPT = """
import json, sys
from multiboard.facts import gather
print(json.dumps(gather()))
"""


def gathered(*command, cwd, **environment):
    options = {"cwd": cwd, "env": {**os.environ, **environment}, "timeout": 60, "capture_output": True}
    return json.loads(subprocess.run([sys.executable, *map(str, command)], text=True, check=True, **options).stdout)


def git(cwd, *arguments):
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(cwd), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


@pytest.fixture
def script(tmp_path):
    """A program in a directory of its own, which no repository holds."""
    (tmp_path / "code").mkdir()
    path = tmp_path / "code" / "train.py"
    path.write_text(SCRIPT)
    return path


@pytest.fixture
def repository(script):
    git(script.parent, "init", "-q", "-b", "main")
    git(script.parent, "add", "train.py")
    git(script.parent, "commit", "-q", "-m", "first")
    return script.parent


def of_git(facts):
    return {name: value for name, value in facts.items() if name.startswith("run/git/")}


def test_a_clean_repository_is_named_by_its_commit_and_branch(repository, script, tmp_path):
    (repository / "runs").mkdir()
    (repository / "runs" / "untracked").write_text("x")
    commit = git(repository, "rev-parse", "HEAD")
    assert of_git(gathered(script, cwd=tmp_path)) == {"run/git/commit": commit, "run/git/branch": "main", "run/git/dirty": False}


@pytest.mark.parametrize("staged", [False, True])
def test_a_changed_file_makes_it_dirty(repository, script, tmp_path, staged):
    script.write_text(SCRIPT + "# changed\n")
    if staged:
        git(repository, "add", "train.py")
    assert of_git(gathered(script, cwd=tmp_path))["run/git/dirty"] is True


def test_a_detached_head_has_no_branch(repository, script, tmp_path):
    git(repository, "checkout", "-q", "--detach")
    assert of_git(gathered(script, cwd=tmp_path)).keys() == {"run/git/commit", "run/git/dirty"}


def test_the_current_directory_counts_if_the_script_is_in_no_repository(repository, tmp_path):
    elsewhere = tmp_path / "train.py"
    elsewhere.write_text(SCRIPT)
    assert of_git(gathered(elsewhere, cwd=repository))["run/git/branch"] == "main"


@pytest.mark.parametrize("state", ["no repository", "no commit", "no git"])
def test_what_git_cannot_tell_is_absent(script, tmp_path, state):
    if state != "no repository":
        git(script.parent, "init", "-q")
    path = str(tmp_path / "empty") if state == "no git" else os.environ["PATH"]
    facts = gathered(script, cwd=tmp_path, PATH=path)
    assert of_git(facts) == {}
    assert "run/version/python" in facts


def test_asking_git_leaves_the_repository_as_it_is(repository, script, tmp_path):
    index = repository / ".git" / "index"
    os.utime(script, (1e9, 1e9))  # git status would now write a fresh index
    before = index.read_bytes()
    assert of_git(gathered(script, cwd=tmp_path))["run/git/dirty"] is False
    assert index.read_bytes() == before


def test_a_git_that_hangs_is_ended_with_the_programs_that_it_has_started(script, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    fake = tools / "git"
    fake.write_text(f"#!/bin/sh\nsleep 300 &\necho $! >> {tmp_path}/started\nwait\n")
    fake.chmod(0o755)
    facts = gathered(script, cwd=tmp_path, PATH=f"{tools}{os.pathsep}{os.environ['PATH']}")
    assert of_git(facts) == {}
    assert "run/host" in facts
    started = [int(line) for line in (tmp_path / "started").read_text().split()]
    deadline = time.monotonic() + 30
    while any(is_running(process) for process in started) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(is_running(process) for process in started)


def is_running(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


SHOWN = {
    "--lr=0.1": "--lr=0.1",
    "--name 'two words'": "--name 'two words'",
    "--api-key abc": "--api-key ***",
    "--API_KEY=abc": "--API_KEY=***",
    "-token abc --lr 1": "-token *** --lr 1",
    "--use-token --lr 1": "--use-token --lr 1",
    "wandb.password=abc": "wandb.password=***",
    "+hf.token=a=b": "+hf.token=***",
    "--header 'X-Api-Key: abc'": "--header X-Api-Key:***",
    """--json '{"secret": "abc"}'""": """--json '{"secret":'***""",
    "--tokenizer=bert": "--tokenizer=bert",
    "--url https://me:abc@host/path": "--url 'https://***@host/path'",
}


@pytest.mark.parametrize("arguments", SHOWN)
def test_the_command_line_is_shown_without_secrets(script, tmp_path, arguments):
    line = gathered("-u", script, *shlex.split(arguments), cwd=tmp_path)["run/command"]
    python, _, rest = line.partition(" ")
    assert python == Path(sys.executable).name
    assert rest == f"-u {shlex.quote(str(script))} {SHOWN[arguments]}"


def test_a_program_on_the_command_line_is_not_repeated(tmp_path):
    line = gathered("-c", SCRIPT + "token = 'abc'", "--lr", "0.1", cwd=tmp_path)["run/command"]
    assert line.partition(" ")[2] == "-c ... --lr 0.1"


def test_a_long_command_line_is_cut(script, tmp_path):
    assert len(gathered(script, *["argument"] * 1000, cwd=tmp_path)["run/command"]) < 1100


def test_nothing_is_imported_that_was_not_loaded(tmp_path):
    code = """
import json, sys
import multiboard as mb
from multiboard.facts import gather
found = gather()
print(json.dumps([found, sorted(sys.modules)]))
"""
    facts, modules = gathered("-c", code, cwd=tmp_path)
    assert not FRAMEWORKS & set(modules)
    assert "importlib.metadata" not in modules
    assert not {"run/framework", "run/device", "run/seed"} & facts.keys()
    versions = {name.removeprefix("run/version/") for name in facts if name.startswith("run/version/")}
    assert versions == {"python", "multiboard"} | ({"numpy"} & set(modules))


@pytest.mark.parametrize("broken", ["lazy", "half"])
def test_a_framework_that_is_not_imported_to_its_end_is_left_alone(tmp_path, broken):
    """A module that imports itself at its first attribute, and one that another thread is still importing."""
    package = tmp_path / "torch"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('torch was imported')")
    make = {
        "lazy": """
spec = importlib.util.find_spec("torch")
spec.loader = importlib.util.LazyLoader(spec.loader)
module = importlib.util.module_from_spec(spec)
sys.modules["torch"] = module
spec.loader.exec_module(module)
""",
        "half": 'sys.modules["torch"] = types.ModuleType("torch")',
    }[broken]
    code = f"import importlib.util, json, sys, types; sys.path.insert(0, '.')\n{make}\n{SCRIPT}"
    facts = gathered("-c", code, cwd=tmp_path)
    assert not {"run/framework", "run/version/torch", "run/device"} & facts.keys()
    assert "run/host" in facts


def test_no_user_name_and_no_process_number_are_told(script, tmp_path):
    assert not {"run/user", "run/pid"} & gathered(script, cwd=tmp_path).keys()

"""The environment of a run is one text without secrets, and nobody waits for it."""

import os
import subprocess
import sys
import threading
from importlib.metadata import version

import pytest

import multiboard as mb
from multiboard.environment import Gathered, describe
from multiboard.errors import ArgumentError
from multiboard.facts import machine, repository
from multiboard.facts.masking import is_secret_name, masked

SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMIabcdefgh",
    "HF_TOKEN": "hf_" + "a" * 34,
    "WANDB_API_KEY": "0123456789abcdef0123",
    "SLURM_JOB_COMMENT": "postgres://me:hunter2@db/x",
    "TF_CONFIG": '{"password": "hunter3"}',
}


def test_a_run_has_its_environment_as_one_text(log_dir, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    with mb.Run(log_dir, environment=True) as run:
        run.log({"a": 1.0}, 0)
    (text,) = mb.read(log_dir)["."].texts["run/environment"].value
    assert f"numpy=={version('numpy')}" in text
    assert "CUDA_VISIBLE_DEVICES=7" in text
    assert f"| executable | `{sys.executable}` |" in text
    assert "| processor |" in text
    assert "Uncommitted" not in text


def test_no_secret_of_the_environment_is_written(monkeypatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    text = describe()
    for secret in ("wJalrXUtnFEMI", "hf_aaaa", "0123456789abcdef", "hunter"):
        assert secret not in text
    assert "HF_TOKEN=***" in text
    assert "SLURM_JOB_COMMENT=postgres://***@db/x" in text
    assert "AWS_SECRET_ACCESS_KEY" in text


def test_the_values_of_other_variables_are_not_written(monkeypatch):
    monkeypatch.setenv("MY_COMPANYS_DATABASE", "the-name-of-a-customer")
    text = describe()
    assert "MY_COMPANYS_DATABASE" in text
    assert "the-name-of-a-customer" not in text


def test_uncommitted_changes_come_on_request_and_not_without_end(tmp_path, monkeypatch):
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    (tmp_path / "train.py").write_text("lr = 0.1\n")
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *command], check=True)
    (tmp_path / "train.py").write_text("lr = 0.2\npassword = 'hunter2'\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(repository, "_directories", lambda: [str(tmp_path)])
    with mb.Run(tmp_path / "run", environment="diff"):
        pass
    (text,) = mb.read(tmp_path / "run")["."].texts["run/environment"].value
    assert "~~~diff" in text
    assert "-lr = 0.1\n+lr = 0.2" in text
    assert "hunter2" not in text
    (tmp_path / "train.py").write_text("x\n" * 1_000_000)
    assert len(repository.changes(1000)) == 1000


def test_outside_of_a_repository_there_are_no_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(repository, "_directories", lambda: [str(tmp_path)])
    assert repository.changes(1000) == ""


def test_names_and_values_of_any_bytes_are_no_reason_to_lose_the_text(log_dir, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_NAME", "a\udcff")
    monkeypatch.setattr(sys, "argv", ["train.py"])
    monkeypatch.setattr(sys, "orig_argv", ["python", "train.py", "--prompt", "one\ntwo"])
    with mb.Run(log_dir, environment=True):
        pass
    (text,) = mb.read(log_dir)["."].texts["run/environment"].value
    assert "SLURM_JOB_NAME=a?" in text
    assert "'one two'` |" in text


def test_neither_the_caller_nor_a_value_of_the_run_waits_for_it(log_dir, monkeypatch, wait_until):
    begun, go_on = threading.Event(), threading.Event()

    def describe_slowly(**_):
        begun.set()
        assert go_on.wait(30)
        return "described"

    monkeypatch.setattr("multiboard.environment.describe", describe_slowly)
    with mb.Run(log_dir, environment=True) as run:
        assert begun.wait(30)
        run.log({"a": 1.0}, 0)
        wait_until(lambda: "a" in mb.read(log_dir)["."].scalars)
        assert "run/environment" not in mb.read(log_dir)["."].texts
        go_on.set()
    assert list(mb.read(log_dir)["."].texts["run/environment"].value) == ["described"]


def test_what_goes_wrong_while_it_is_gathered_is_the_text():
    def fail():
        raise OSError("gone")

    assert Gathered(fail).fetch() == "The environment could not be read: OSError: gone"


@pytest.mark.parametrize("environment", ["all", 1.5])
def test_an_environment_that_is_something_else_is_an_error(log_dir, environment):
    with pytest.raises(ArgumentError, match="argument 'environment'"):
        mb.Run(log_dir, environment=environment)


def test_nvidia_devices_are_read_from_the_driver_without_starting_it(tmp_path):
    for i in range(2):
        directory = tmp_path / "gpus" / str(i)
        directory.mkdir(parents=True)
        (directory / "information").write_text("Model: \t\t NVIDIA H100\nIRQ: 1\n")
    (tmp_path / "version").write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue\n")
    assert machine._gpus(tmp_path) == "NVIDIA H100, NVIDIA H100"
    assert machine._driver(tmp_path / "version") == "550.54.15"


def test_the_memory_of_the_machine_is_what_the_system_says():
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert float(machine.describe()["memory"].split()[0]) == pytest.approx(pages / 2**30, abs=0.1)


@pytest.mark.parametrize("name", ["GITHUB_TOKEN", "DB_PASSWORD", "api_key", "MYSQL_PWD", "SMTP_PASS", "AUTH", "SESSION_COOKIE"])
def test_a_name_of_a_secret_is_known(name):
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["PWD", "OLDPWD", "TOKENIZERS_PARALLELISM", "PATH", "OMP_NUM_THREADS"])
def test_a_name_of_no_secret_is_known(name):
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    "text",
    [
        "step 10: 512 tokens, tokens/s: 12345.6, key: loss, keys=['a', 'b']",
        "token accuracy=0.95, tokenizer: gpt2-medium-1",
        "https://example.org/path?page=2#key",
        "sort(key=len) and hf_hub",
    ],
)
def test_harmless_text_is_left_as_it_is(text):
    assert masked(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abcdefgh12345678",
        "eyJhbGciOiJI.eyJzdWIiOiIx.sIgNaTuRe",
        "AKIAIOSFODNN7EXAMPLE",
        "-----BEGIN RSA PRIVATE KEY-----\nabcdefgh12345678\n-----END RSA PRIVATE KEY-----",
        "https://x.blob.core.windows.net/c?sv=1&sig=abcdefgh12345678%3D",
        "client_secret: abcdefgh",
        "Authorization: Basic abcdefgh12345678",
        "https://user:p@abcdefgh@host/x",
        "password = 'correct abcdefgh battery'",
        '{"api_key": "abcdefgh12345678"}',
    ],
)
def test_a_secret_in_a_text_is_masked(text):
    found = masked(text)
    assert "***" in found
    assert not any(secret in found for secret in ("abcdefgh", "eyJzdWIi", "IOSFODNN7"))


@pytest.mark.timeout(60)
def test_masking_takes_time_in_proportion_to_the_text():
    """Patterns that look for the same end from every beginning would take minutes for a line of a megabyte."""
    for part in ("key", "token", "?sig", "://", "eyJ", "-----BEGIN "):
        assert len(masked(part * (300_000 // len(part)))) > 100_000

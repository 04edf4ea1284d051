"""Fixtures of the core tests."""

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

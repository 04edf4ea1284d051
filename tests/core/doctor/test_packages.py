"""The doctor finds packages that do not go together, by their metadata alone."""

import json
import os
import subprocess
import sys

import pytest

EXAMINE = """
import json, sys
from multiboard.doctor import examine
found = [one._asdict() | {"state": one.state.value} for one in examine(*sys.argv[1:])]
heavy = [name for name in ("torch", "jax", "keras", "tensorflow", "tensorboard", "fsspec", "rich") if name in sys.modules]
print(json.dumps({"found": found, "heavy": heavy}))
"""


@pytest.fixture
def site(tmp_path):
    """A directory of packages that stands before all others."""
    return tmp_path / "site"


@pytest.fixture
def install(site):
    """A function that makes a package look installed."""

    def install(name, version, *requires, files=()):
        about = site / f"{name.replace('-', '_')}-{version}.dist-info"
        about.mkdir(parents=True)
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {one}" for one in requires)]
        (about / "METADATA").write_text("\n".join(lines) + "\n")
        for file, text in dict(files).items():
            (site / file).parent.mkdir(parents=True, exist_ok=True)
            (site / file).write_text(text)

    return install


@pytest.fixture
def examine(site):
    """A function that returns what a fresh interpreter finds, by subject, without what is in order."""

    def examine(*arguments, **environment):
        paths = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
        command = [sys.executable, "-c", EXAMINE, *map(str, arguments)]
        variables = {**os.environ, "PYTHONPATH": paths, **environment}
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=variables)
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        assert said["heavy"] == []
        found = {}
        for one in said["found"]:
            found.setdefault((one["area"], one["subject"]), []).append((one["state"], one["text"], one["remedy"]))
        return found

    return examine


def test_no_framework_is_imported_and_the_core_is_in_order(examine):
    found = examine()
    assert found["packages", "multiboard"][0][0] == "good"
    assert [state for state, *_ in found["packages", "numpy"]] == ["good"]
    assert {area for area, _ in found} >= {"packages", "viewer", "machine", "remote"}


def test_a_requirement_that_is_not_met_is_named_with_both_versions(install, examine):
    install("tensorflow", "2.15.0", "protobuf<4.1", "numpy>=1.0", "colorama>99; sys_platform == 'nowhere'")
    wrong = [one for one in examine()["packages", "protobuf"] if one[0] == "wrong"]
    assert len(wrong) == 1
    assert "tensorflow 2.15.0 needs protobuf<4.1, and " in wrong[0][1]
    assert "pip install 'protobuf<4.1'" in wrong[0][2]


def test_a_requirement_that_is_missing_is_named(install, examine):
    install("tensorboard", "2.19.0", "no-such-package>=3")
    assert examine()["packages", "no-such-package"] == [
        ("wrong", "tensorboard 2.19.0 needs no-such-package>=3, which is not installed", "pip install 'no-such-package>=3'")
    ]


@pytest.mark.parametrize(
    ("name", "other"), [("tensorboard", "tb-nightly"), ("tensorflow", "tf-nightly"), ("xprof", "tensorboard-plugin-profile")]
)
def test_two_packages_in_one_place_are_wrong(install, examine, name, other):
    install(name, "2.20.0")
    install(other, "2.21.0a1")
    ((state, text, remedy),) = examine()["packages", other]
    assert state == "wrong"
    assert f"{name} and {other} are both installed" in text
    assert remedy == f"pip uninstall {other} {name}; pip install {name}"


def test_tensorboard_that_needs_pkg_resources_says_how_to_get_it(install, examine):
    install("tensorboard", "2.19.0", files={"tensorboard/default.py": "import pkg_resources\n", "tensorboard/__init__.py": ""})
    assert examine()["viewer", "pkg_resources"][0][0] == "wrong"
    install("setuptools", "70.0", files={"pkg_resources/__init__.py": ""})
    assert ("viewer", "pkg_resources") not in examine()


def test_an_old_tensorboard_does_not_go_with_numpy_2(install, examine):
    install("tensorboard", "2.12.0")
    install("numpy", "2.1.0")
    assert "tensorboard 2.12.0 fails with NumPy 2.1.0" in str(examine()["viewer", "numpy"])


def test_a_loader_without_its_program_is_slow(install, examine):
    install("tensorboard", "2.20.0")
    install("tensorboard-data-server", "0.7.2", files={"tensorboard_data_server/__init__.py": ""})
    ((state, text, _),) = examine()["viewer", "fast loader"]
    assert state == "care"
    assert "has no program for" in text


def test_an_adapter_says_what_it_lacks(install, examine):
    install(
        "multiboard",
        "0.1.0",
        "numpy>=1",
        "torch>=2.4; extra == 'torch'",
        "optuna>=4; extra == 'optuna'",
        "keras>=3; extra == 'keras'",
    )
    install("torch", "1.9.0")
    install("keras", "3.5.0")
    found = examine(KERAS_BACKEND="nothing")
    assert found["adapters", "multiboard.torch"] == [
        ("wrong", "torch 1.9.0; needs torch>=2.4", "pip install 'multiboard[torch]'")
    ]
    assert found["adapters", "multiboard.keras"] == [("good", "keras 3.5.0", "")]
    ((state, text, remedy),) = found["adapters", "backend of Keras"]
    assert (state, text) == ("wrong", "nothing (KERAS_BACKEND) is not installed")
    assert remedy.startswith("export KERAS_BACKEND=")
    if found["adapters", "multiboard.optuna"][0][0] == "absent":
        assert found["adapters", "multiboard.optuna"][0][2] == "pip install 'multiboard[optuna]'"


def test_the_rank_that_a_launcher_gave_is_seen(examine):
    found = examine(RANK="3", WORLD_SIZE="8", LOCAL_RANK="3")
    assert found["machine", "ranks"][0][1].startswith("rank 3 of 8, said by ")


def test_what_waits_for_its_upload_is_named(examine, tmp_path):
    spool = tmp_path / "spools" / "0000000001-0a0b0c0d"
    (spool / "run").mkdir(parents=True)
    (spool / "run" / "events.out.tfevents.1").write_bytes(b"12345")
    about = {"url": "s3://bucket/run", "complete": True, "token": "0a0b0c0d", "name": "run", "host": "h", "pid": 1}
    (spool / "spool.json").write_text(json.dumps(about))
    ((state, text, remedy),) = examine(MULTIBOARD_SPOOL=str(spool.parent))["remote", "spool"]
    assert state == "care"
    assert text.startswith("1 files (5 B) for s3://bucket/run were not uploaded")
    assert remedy == "multiboard upload s3://bucket/run"

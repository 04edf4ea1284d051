"""What several files use: the packages that are captured, and one that multiboard does not know, installed for one test."""

import importlib
import shutil
import sys
import tomllib
from pathlib import Path

import pytest

from multiboard import adapter_registry, arrays, entry_points
from multiboard.facts import frameworks

# TensorBoard and keras import it if they can: it would take most of the time, and no test here needs it.
sys.modules.setdefault("tensorflow", None)

SOURCE = Path(__file__).parent / "toy_adapter"


def pytest_collection_modifyitems(items):
    """JAX warns of every fork in a process that has loaded it, which a test of another file may have done."""
    for item in items:
        item.add_marker(pytest.mark.filterwarnings("ignore:os.fork"))


@pytest.fixture(params=["torch.utils.tensorboard", "tensorboardX"])
def package(request):
    """What captures a package, and its two classes."""
    facades = {"torch.utils.tensorboard": "multiboard.torch_tensorboard", "tensorboardX": "multiboard.tensorboardx"}
    module = importlib.import_module(request.param)
    return importlib.import_module(facades[request.param]).capture, module.SummaryWriter, module.FileWriter


@pytest.fixture
def captured(package):
    """The two classes while they are captured."""
    capture, *classes = package
    with capture():
        yield classes


@pytest.fixture
def install_toynet(tmp_path, monkeypatch):
    """The function `install`, which puts the package on `sys.path` as an installer does; `old` and `new` change its project."""

    def forget():
        for name in [name for name in sys.modules if name.startswith("toynet")]:
            del sys.modules[name]
        entry_points.declared.cache_clear()
        adapter_registry._problems.clear()
        arrays.hosts.clear()
        frameworks._others.clear()

    def install(old="", new=""):
        place = tmp_path / "site"
        project = tomllib.loads((SOURCE / "pyproject.toml").read_text().replace(old, new) if old else _pyproject())
        for package in ("toynet", "toynet_multiboard"):
            shutil.copytree(SOURCE / package, place / package)
        info = place / f"toynet_multiboard-{project['project']['version']}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['project']['name']}\nVersion: 1.0\n")
        groups = project["project"]["entry-points"].items()
        lines = [f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in found.items()) for group, found in groups]
        (info / "entry_points.txt").write_text("\n".join(lines))
        monkeypatch.syspath_prepend(str(place))
        importlib.invalidate_caches()

    forget()
    yield install
    forget()


def _pyproject():
    return (SOURCE / "pyproject.toml").read_text()

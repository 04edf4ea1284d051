"""What the adapters do on an accelerator: no synchronisation, exact counts, time, traffic, memory, profiles.

python benchmarks/gpu_check.py [--device cuda] [--small] [--only counts,jax_counts,...]

Each framework is checked in a process of its own, as a GPU has one profiler per process: what runs first would keep it from the
others. Needs the packages numpy, protobuf and google-crc32c, and torch, or jax with flax and optax, or all of them, with CUDA,
and keras for the sections of Keras; `multiboard` is that of the checkout in which this file lies. Prints one Markdown table. The
exit code is 1 if a check failed, and 2 if no framework has such a device. With `--device cpu` all that has a meaning there is
run, which tests this script and not a device.
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "adapters")]
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # JAX would take the memory that PyTorch needs
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what XProf and XLA say on the terminal, in the middle of the table

from gpu_rows import Row, guarded  # noqa: E402  # behind the path, as all that follow

import multiboard as mb  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class Framework(NamedTuple):
    """What the checks of a framework need.

    Attributes:
        packages: to be installed.
        loops: the module that knows its devices.
        backend: of Keras, which is chosen when it is imported; None for others.
    """

    packages: tuple[str, ...]
    loops: str
    backend: str | None = None


FRAMEWORKS = {
    "torch": Framework(("torch",), "gpu_loops"),
    "jax": Framework(("jax", "flax", "optax"), "gpu_jax_loops"),
    "keras_jax": Framework(("keras", "jax"), "gpu_keras", "jax"),
    "keras_torch": Framework(("keras", "torch"), "gpu_keras", "torch"),
}
SECTIONS = {
    "syncs": ("torch", "gpu_torch"),
    "counts": ("torch", "gpu_torch"),
    "time": ("torch", "gpu_costs"),
    "traffic": ("torch", "gpu_costs"),
    "memory": ("torch", "gpu_costs"),
    "profile": ("torch", "gpu_torch_profile"),
    "jax_syncs": ("jax", "gpu_jax"),
    "jax_bits": ("jax", "gpu_jax"),
    "jax_counts": ("jax", "gpu_jax"),
    "jax_costs": ("jax", "gpu_jax_costs"),
    "jax_everything": ("jax", "gpu_jax_costs"),
    "jax_profile": ("jax", "gpu_jax_profile"),
    "keras_jax_bits": ("keras_jax", "gpu_keras"),
    "keras_jax_costs": ("keras_jax", "gpu_keras"),
    "keras_torch_bits": ("keras_torch", "gpu_keras"),
    "keras_torch_costs": ("keras_torch", "gpu_keras"),
}
"""By name: the framework, and the module in which `check_<last word of it>` is."""


def absent(framework: str) -> list[str]:
    """Return the packages of a framework that are not installed."""
    return [package for package in FRAMEWORKS[framework].packages if not find_spec(package)]


def settings_of(sections: Sequence[str], device: str, small: bool) -> tuple[dict[str, Any], dict[str, str]]:
    """Return where to check by framework, and why not for the others."""
    settings, missing = {}, {}
    for name in dict.fromkeys(SECTIONS[section][0] for section in sections):
        lacks = absent(name)
        if FRAMEWORKS[name].backend is not None:
            os.environ["KERAS_BACKEND"] = str(FRAMEWORKS[name].backend)
        setting = None if lacks else import_module(FRAMEWORKS[name].loops).open_setting(device, small)
        if setting is None:
            missing[name] = f"{', '.join(lacks)} not installed" if lacks else f"this {name} has no device {device!r}"
        else:
            settings[name] = setting
    return settings, missing


def rows_of(section: str, settings: dict[str, Any], missing: dict[str, str]) -> Iterator[Row]:
    """Yield the rows of a section, or the reason why there are none."""
    framework, module = SECTIONS[section]
    if framework in missing:
        yield Row(section, f"left out: {missing[framework]}")
        return
    check = getattr(import_module(module), f"check_{section.rpartition('_')[2]}")
    yield from check(settings[framework])
    if framework == "torch":
        gc.collect()
        sys.modules["torch"].cuda.empty_cache()  # for the next section


def frameworks_of(sections: Sequence[str]) -> dict[str, list[str]]:
    """Return the sections by framework."""
    groups: dict[str, list[str]] = {}
    for section in sections:
        groups.setdefault(SECTIONS[section][0], []).append(section)
    return groups


def check_apart(groups: Iterable[Sequence[str]], arguments: argparse.Namespace) -> int:
    """Check groups of sections in processes of their own, which print their rows; return the exit code of them all."""
    options = ["--rows", "--device", arguments.device, *(["--small"] if arguments.small else [])]
    codes = set()
    for group in groups:
        sys.stdout.flush()
        codes.add(subprocess.run([sys.executable, __file__, *options, "--only", ",".join(group)], check=False).returncode)
    return 2 if codes == {2} else int(bool(codes - {0, 2}))


def check_here(sections: Sequence[str], arguments: argparse.Namespace) -> int:
    """Check sections of one framework, print their rows, and return the exit code."""
    settings, missing = settings_of(sections, arguments.device, arguments.small)
    failed = False
    for name, setting in settings.items():
        print_row(Row(f"**{name}**", setting.name))
    for section in sections:
        for row in guarded(section, partial(rows_of, section, settings, missing)):
            failed |= row.good is False
            print_row(row)
    return int(failed) if settings else 2


def print_row(row: Row) -> None:
    """Print a row of the table."""
    verdicts = {True: "ok", False: "**failed**", None: ""}
    print(f"| {row.check} | {row.result} | {verdicts[row.good]} |", flush=True)


def main() -> int:
    """Run the sections, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, ..., or cpu to test this script")
    parser.add_argument("--small", action="store_true", help="small models and tensors: seconds, also on a CPU")
    parser.add_argument("--only", type=lambda names: names.split(","), default=list(SECTIONS), help=", ".join(SECTIONS))
    parser.add_argument("--rows", action="store_true", help="print rows without a head, all in this process")
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.only) - SECTIONS.keys()):
        parser.error(f"no section {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    if arguments.rows:
        return check_here(arguments.only, arguments)
    print(f"\nmultiboard {mb.__version__}\n\n| check | result | |\n|---|---|---|")
    groups = frameworks_of(arguments.only)
    if sum(not absent(name) for name in groups) > 1:
        code = check_apart(groups.values(), arguments)
    else:
        code = check_here(arguments.only, arguments)
    if code == 2:  # nothing was checked
        print(f"\nThere is no {arguments.device.partition(':')[0].upper()} device here: run this on a machine with one,")
        print("or with --device cpu --small to test the script.")
    return code


if __name__ == "__main__":
    sys.exit(main())

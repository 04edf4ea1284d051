"""What the adapters do on an accelerator: no synchronisation, exact counts, time, traffic, memory, profiles; PyTorch and JAX.

python benchmarks/gpu_check.py [--device cuda] [--small] [--only counts,jax_counts,...]

Needs the packages numpy, protobuf and google-crc32c, and torch, or jax with flax and optax, or all of them, with CUDA;
`multiboard` is that of the checkout in which this file lies. Prints one Markdown table. The exit code is 1 if a check failed, and
2 if no framework has such a device. With `--device cpu` all that has a meaning there is run, which tests this script and not a
device.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "adapters")]
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # JAX would take the memory that PyTorch needs

from gpu_rows import Row, guarded  # noqa: E402  # behind the path, as all that follow

import multiboard as mb  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Framework(NamedTuple):
    """What the checks of a framework need.

    Attributes:
        packages: to be installed.
        loops: the module that knows its devices.
    """

    packages: tuple[str, ...]
    loops: str


FRAMEWORKS = {
    "torch": Framework(("torch",), "gpu_loops"),
    "jax": Framework(("jax", "flax", "optax"), "gpu_jax_loops"),
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
}
"""By name: the framework, and the module in which `check_<name>` is."""


def settings_of(sections: Sequence[str], device: str, small: bool) -> tuple[dict[str, Any], dict[str, str]]:
    """Return where to check by framework, and why not for the others."""
    settings, missing = {}, {}
    for name in dict.fromkeys(SECTIONS[section][0] for section in sections):
        absent = [package for package in FRAMEWORKS[name].packages if not find_spec(package)]
        setting = None if absent else import_module(FRAMEWORKS[name].loops).open_setting(device, small)
        if setting is None:
            missing[name] = f"{', '.join(absent)} not installed" if absent else f"this {name} has no device {device!r}"
        else:
            settings[name] = setting
    return settings, missing


def rows_of(section: str, settings: dict[str, Any], missing: dict[str, str]) -> Iterator[Row]:
    """Yield the rows of a section, or the reason why there are none."""
    framework, module = SECTIONS[section]
    if framework in missing:
        yield Row(section, f"left out: {missing[framework]}")
        return
    check = getattr(import_module(module), f"check_{section.removeprefix('jax_')}")
    yield from check(settings[framework])
    if framework == "torch":
        gc.collect()
        sys.modules["torch"].cuda.empty_cache()  # for JAX, which may come next


def main() -> int:
    """Run the sections, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, ..., or cpu to test this script")
    parser.add_argument("--small", action="store_true", help="small models and tensors: seconds, also on a CPU")
    parser.add_argument("--only", type=lambda names: names.split(","), default=list(SECTIONS), help=", ".join(SECTIONS))
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.only) - SECTIONS.keys()):
        parser.error(f"no section {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    settings, missing = settings_of(arguments.only, arguments.device, arguments.small)
    if not settings:
        kind, why = arguments.device.partition(":")[0].upper(), "; ".join(missing.values())
        print(f"There is no {kind} device here ({why}): run this on a machine with one,")
        print("or with --device cpu --small to test the script.")
        return 2
    print(f"\n{', '.join(setting.name for setting in settings.values())}, multiboard {mb.__version__}")
    print("\n| check | result | |\n|---|---|---|")
    verdicts = {True: "ok", False: "**failed**", None: ""}
    failed = False
    for section in arguments.only:
        for row in guarded(section, partial(rows_of, section, settings, missing)):
            failed |= row.good is False
            print(f"| {row.check} | {row.result} | {verdicts[row.good]} |", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

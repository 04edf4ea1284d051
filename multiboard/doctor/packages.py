"""Versions, and packages that do not go together."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Final

from multiboard.doctor.findings import Finding, State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from multiboard.doctor.installed import Installed

_AREA: Final = "packages"
_CORE: Final = ("numpy", "protobuf", "google-crc32c")
_EXAMINED: Final = (
    *("multiboard", "torch", "jax", "jaxlib", "flax", "optax", "keras", "lightning", "transformers", "accelerate", "tensorflow"),
    *("tf-nightly", "tensorboard", "tb-nightly", "tensorboard-data-server", "tensorboard-plugin-profile", "xprof", "grpcio"),
    *("tensorboardx", "s3fs", "gcsfs", "adlfs", "aiobotocore"),
)
"""Distributions whose requirements are compared with what is installed."""
_ONE_OF: Final = (
    ("tensorboard", "tb-nightly", "they are one directory, and what is installed last has overwritten parts of the other"),
    ("tensorflow", "tf-nightly", "they are one directory, and what is installed last has overwritten parts of the other"),
    ("xprof", "tensorboard-plugin-profile", "both bring a Profile tab, and TensorBoard loads one of them at random"),
)
"""Distributions of which only one may be there, the first of each pair."""


def examine(installed: Installed) -> Iterator[Finding]:
    """Yield what is found."""
    from multiboard import __version__

    yield Finding(_AREA, "multiboard", State.GOOD, f"{__version__} on Python {platform.python_version()}")
    for name in _CORE:
        yield Finding(_AREA, name, State.GOOD, installed.version(name) or "version unknown")
    yield from _checksums()
    if not installed.can_compare:
        remedy = "pip install packaging"
        yield Finding(_AREA, "requirements", State.CARE, "not compared: packaging is not installed", remedy)
    for name in _EXAMINED:
        yield from _clashes(installed, name)
    for name, other, reason in _ONE_OF:
        if installed.version(name) and installed.version(other):
            remedy = f"pip uninstall {other} {name}; pip install {name}"
            yield Finding(_AREA, other, State.WRONG, f"{name} and {other} are both installed: {reason}", remedy)


def _checksums() -> Iterator[Finding]:
    import google_crc32c

    if google_crc32c.implementation != "c":
        text = "the checksums are computed in Python, a hundred times slower than in C"
        remedy = "pip install --force-reinstall google-crc32c, on a Python for which it has a wheel"
        yield Finding(_AREA, "google-crc32c", State.CARE, text, remedy)


def _clashes(installed: Installed, name: str) -> Iterator[Finding]:
    """Yield the requirements of a distribution that are not met."""
    for needed, versions in installed.requirements(name):
        found = installed.version(needed)
        if not found:
            text = f"{name} {installed.version(name)} needs {needed}{versions}, which is not installed"
            yield Finding(_AREA, needed, State.WRONG, text, f"pip install '{needed}{versions}'")
        elif not installed.fits(needed, versions):
            text = f"{name} {installed.version(name)} needs {needed}{versions}, and {found} is installed"
            remedy = f"pip install '{needed}{versions}', or another version of {name}"
            yield Finding(_AREA, needed, State.WRONG, text, remedy)

"""What a run was made in, as one text: machine, git state, installed packages and environment variables, without secrets.

It is gathered in a thread of its own, so that neither the caller nor the writer waits for it.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

from multiboard.errors import ArgumentError
from multiboard.forks import unforked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from multiboard.run import Run

TAG: Final = "run/environment"
DIFF_BYTES: Final = 200_000
_SHOWN: Final = re.compile(
    r"(?:CUDA|NVIDIA|NCCL|CUDNN|CUBLAS|TORCH|PYTORCH|JAX|XLA|LIBTPU|TPU|TF|TENSORFLOW|KERAS|HIP|HSA|ROC[RM]?|OMP|MKL|OPENBLAS|NUMEXPR|GOTO|KMP"
    r"|MALLOC|LD|PYTHON|CONDA|VIRTUAL|SLURM|PBS|LSB|OMPI|PMI|PMIX|MPI|HF|TRANSFORMERS|DATASETS|ACCELERATE|TOKENIZERS|WANDB|MULTIBOARD|TENSORBOARD"
    r"|MASTER|WORLD|LOCAL|NODE|GROUP|ROLE|KUBERNETES|TRITON|UCX|GLOO|FI|LC|XDG)_\w+|PYTHON\w+|LANG|TZ|TERM|SHELL|USER|HOME|PATH|PWD|RANK|CI"
)
"""Environment variables whose values say something about a training. Of the others only the names are written."""


def write(run: Run, environment: bool | str = True) -> None:
    """Write what a run is made in as a text `run/environment`, once.

    Args:
        run: an open one.
        environment: True, or 'diff' for the uncommitted changes of the git repository, too: 200 kB of them at most.

    Raises:
        ArgumentError: `environment` is something else.
    """
    if environment is not True and environment != "diff":
        raise ArgumentError("environment", environment, "use True, False or 'diff'")
    run.note(TAG, Gathered(lambda: describe(diff=environment == "diff")), run.start_step)


class Gathered:
    """A text that a thread makes; a pending value.

    Args:
        make: returns the text.
    """

    def __init__(self, make: Callable[[], str]) -> None:
        self._make = make
        self._text = ""
        self._thread = threading.Thread(target=self._run, name="multiboard-environment", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # at the end of the interpreter no thread can be started
            self._run()

    def is_ready(self) -> bool:
        """Tell whether it is there."""
        return not self._thread.is_alive()

    def fetch(self) -> str:
        """Return the text."""
        if self._thread.is_alive():
            self._thread.join()
        return self._text

    def _run(self) -> None:
        try:
            self._text = self._make()
        except Exception as error:  # noqa: BLE001  # nothing of ours may end a training
            self._text = f"The environment could not be read: {type(error).__name__}: {error}"


def describe(*, diff: bool = False) -> str:
    """Return the environment of this process as markdown.

    Args:
        diff: whether the uncommitted changes of the git repository are in it.
    """
    with unforked():  # a child would wait for a module that was half imported when it was forked
        from multiboard.facts import command, machine, repository

    facts: dict[str, Any] = {"Python": sys.version.replace("\n", " "), "executable": sys.executable}
    for source in (machine.describe, command.line, lambda: {"directory": os.getcwd()}, repository.state):  # noqa: PTH109  # no path
        with contextlib.suppress(Exception):  # a directory that is gone, no git
            facts |= source()
    parts = ["### Process", _table(facts), *_variables(os.environ), *_packages()]
    if diff:
        parts += ["### Uncommitted changes", _changes(repository.changes(DIFF_BYTES))]
    return "\n\n".join(parts).encode(errors="replace").decode()  # names of files and values of variables may be any bytes


def _table(facts: Mapping[str, Any]) -> str:
    from multiboard.facts.masking import masked

    def cell(value: object) -> str:
        return " ".join(masked(str(value)).splitlines()).replace("|", "&#124;").replace("`", "'")

    rows = [f"| {name} | `{cell(value)}` |" for name, value in facts.items()]
    return "\n".join(["| what | is |", "|---|---|", *rows])


def _variables(variables: Mapping[str, str]) -> list[str]:
    from multiboard.facts.command import MASK
    from multiboard.facts.masking import is_secret_name, masked

    shown = sorted(name for name in variables if _SHOWN.fullmatch(name))
    others = sorted(variables.keys() - shown)
    lines = [f"{name}={MASK if is_secret_name(name) else masked(variables[name])}" for name in shown]
    return ["### Environment variables", fenced("\n".join(lines)), "Set, but not shown:", fenced(" ".join(others))]


def _packages() -> list[str]:
    with unforked():
        from importlib.metadata import distributions

    found: dict[str, str] = {}
    for one in distributions():
        with contextlib.suppress(Exception):  # a package that was half removed
            found.setdefault(one.metadata["Name"], one.version)
    lines = [f"{name}=={version}" for name, version in sorted(found.items(), key=lambda item: item[0].lower())]
    return [f"### Installed packages ({len(lines)})", fenced("\n".join(lines))]


def _changes(text: str) -> str:
    from multiboard.facts.masking import masked

    if not text:
        return "None, or no git repository. Files that git does not track are not among them."
    cut = len(text) >= DIFF_BYTES
    return fenced(masked(text), "diff") + (f"\n\nOnly the first {DIFF_BYTES} characters are here." if cut else "")


def fenced(text: str, language: str = "") -> str:
    r"""Return a text that markdown shows as it is, whatever is in it.

    >>> fenced("a")
    '~~~\na\n~~~'
    """
    longest = max(map(len, re.findall("~{3,}", text)), default=2)
    fence = "~" * (longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"

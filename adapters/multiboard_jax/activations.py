"""What layers return, tagged while the measured variant of a step is traced, without editing the model.

Linen modules are seen through `linen_calls`, NNX and equinox modules through `layers`. The plain variant is traced
outside of this, so that it stays as it is.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

import jax

from multiboard import tags
from multiboard.selection import Selection
from multiboard_jax._compat import apart
from multiboard_jax.layer_paths import unmark
from multiboard_jax.layers import Watcher, watching
from multiboard_jax.linen_calls import linen_calls
from multiboard_jax.tagging import HISTOGRAM, Label, bind, is_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from multiboard.selection import Chosen

STAGE: Final = "output"

_marks: Final = ContextVar("marks", default=True)
"""Whether paths are written into modules: see `marked_if_possible`."""


def check(patterns: Chosen | Selection) -> Selection:
    """Return the selection of layers that a user has asked for; to be made once per wrapped step.

    Raises:
        ArgumentError: it is neither patterns nor a function.
    """
    return patterns if isinstance(patterns, Selection) else Selection("activations", patterns)


class Seen:
    """What was seen of the layers in one trace.

    Args:
        selection: the layers that are chosen.
    """

    def __init__(self, selection: Selection) -> None:
        self.watcher = Watcher(self._tag, (selection, _marks.get()), marks=_marks.get(), names_optimizers=True)
        self.selection = selection
        self._called: dict[str, None] = {}
        self._meant: dict[str, None] = {}
        self._failed: dict[str, str] = {}

    def released(self, result: Any) -> Any:
        """Return the result of the step; modules in it that were made during the trace no longer hold their paths."""
        if self.watcher.marks:
            unmark(result)
        return result

    def notes(self, found: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Yield a cause and a message for each pattern that means nothing, and for what could not be seen.

        Args:
            found: all tags that were collected: a part of a step that was traced before is not called again.
        """
        prefix = f"{tags.ACTIVATIONS}/"
        paths = [name.removeprefix(prefix).partition("#")[0] for name in found if name.startswith(prefix)]
        yield from self.selection.missing((*self._meant, *paths), self._called or paths)
        for failure, path in self._failed.items():
            yield f"{prefix}{path}", f"the output of layer {path!r} was left out, and of others for the same reason: {failure}"
        for name in self.watcher.nameless:
            message = f"a layer of class {name} was called that is not found in the model under any name, and was left out."
            yield f"{prefix}{name}", message

    def _tag(self, path: str, layer: Any, output: Any) -> Any:
        self._called[path] = None
        try:
            if not self.selection.has(path, layer):
                return output
            self._meant[path] = None
            label = Label(f"{tags.ACTIVATIONS}/{path}", HISTOGRAM, tags.description(path, type(layer).__name__, STAGE))
            return _with_first_array(output, label)
        except Exception as error:  # noqa: BLE001  # of the user's function, or of an output of an unknown kind
            self._failed.setdefault(f"{type(error).__name__}: {error}", path)
            return output


@contextlib.contextmanager
def seen(patterns: Chosen | Selection, arguments: Any) -> Iterator[Seen]:
    """Tag the outputs of layers as 'activations/<layer>' while a step is called inside; to be used in a trace that collects tags.

    Layers are those whose `__call__` is called; the model itself has no path and is not one. A layer that is called twice gets
    '#1' the second time. Of an output with several parts the first array counts, of a dict in the order of its keys.

    Args:
        patterns: the chosen layers, as for the `activations` of `wrap_train_step`.
        arguments: of the step, as they are seen inside the trace.

    Yields:
        What is to be given the result of the step, and asked for notes.
    """
    layers = Seen(check(patterns))
    with watching(layers.watcher, arguments), linen_calls(layers.watcher, _is_seen), apart((layers.selection, _marks.get())):
        yield layers


def marked_if_possible(trace: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that traces a step in which layers are `seen`, and does it again if it fails, without marks in modules.

    Then layers that cannot be told apart otherwise have no name.

    Args:
        trace: a function without side effects.
    """

    @functools.wraps(trace)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return trace(*args, **kwargs)
        except Exception:  # noqa: BLE001  # an error of the step itself will come again
            token = _marks.set(False)
        try:
            return trace(*args, **kwargs)
        finally:
            _marks.reset(token)

    return run


@contextlib.contextmanager
def called_layers(arguments: Any) -> Iterator[Watcher]:
    """Do what `named_layers` does, and see the calls of linen layers, too, for the layer table.

    Args:
        arguments: of the step, as they are seen inside the trace.

    Yields:
        What has seen the calls.
    """
    watcher = Watcher(lambda _, __, output: output, None, marks=False, names_optimizers=True)
    with watching(watcher, arguments), linen_calls(watcher, _is_seen):
        yield watcher


@contextlib.contextmanager
def named_layers(arguments: Any) -> Iterator[None]:
    """Put every NNX and equinox layer into a `jax.named_scope` of its path while a step is called inside; linen does it itself.

    Optimizers that Flax calls have a scope as well. Only the metadata of operations changes; a layer that cannot be told from
    others has no scope. To be used inside the trace of a step.

    Args:
        arguments: of the step, as they are seen inside the trace.
    """
    with watching(Watcher(lambda _, __, output: output, None, marks=False, names_optimizers=True), arguments):
        yield


def _is_seen(module: Any, method: str) -> bool:
    return method == "__call__" and not module.is_initializing()


def _with_first_array(output: Any, label: Label) -> Any:
    """Return an output with its first traced array tagged. What is known without computing is no activation."""
    leaves, structure = jax.tree.flatten(output, is_leaf=_is_module_or_variable)
    for i, leaf in enumerate(leaves):
        if isinstance(leaf, jax.core.Tracer) and is_number(leaf):
            leaves[i] = bind(leaf, label)
            return jax.tree.unflatten(structure, leaves)
    return output


def _is_module_or_variable(node: Any) -> bool:
    """Return whether a node is an object that must stay the same one."""
    nnx = sys.modules.get("flax.nnx")
    return nnx is not None and isinstance(node, (nnx.Module, nnx.Variable))

"""What chosen layers return in a train step.

While the step runs (on JAX and TensorFlow: while it is traced) the calls of layers are watched, see `layer_calls`. How a tensor
gets out of the step from there differs between the backends, and is in `activations_<backend>`.
"""

from __future__ import annotations

import contextlib
import functools
from collections import Counter
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from multiboard import tags
from multiboard_keras.backend import BACKEND
from multiboard_keras.exact import ExactTensors
from multiboard_keras.layer_calls import LayerCalls
from multiboard_keras.layer_paths import layer_paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import keras

    from multiboard.exact import Exact
    from multiboard.selection import Selection

    Tensor = Any
    Function = Callable[..., Any]

STAGE: Final = "output"


class Activations:
    """Collects what the chosen layers of a model return, in one run of its train step after the other.

    The second call of a layer in a step gets '#1', the third '#2'; those that a recurrent layer or `TimeDistributed` makes for
    its time steps count together. Of an output with several parts the first tensor counts, of a dict in the order of its keys.
    What is computed again for the gradient does not count again.

    Args:
        model: the model; it is no layer itself.
        selection: the chosen layers.
        exact: of which outputs all elements are kept; None for none.

    Attributes:
        tags: one per histogram of the last run, or of the last trace.
        descriptions: by tag: the layer and its class.
        notes: what the last run leaves out, as cause and message.
        exact: what the last run keeps element by element.
    """

    def __init__(self, model: keras.Model, selection: Selection, exact: Exact | None = None) -> None:
        self.tags: tuple[str, ...] = ()
        self.descriptions: dict[str, str] = {}
        self.notes: list[tuple[str, str]] = []
        self._model, self._selection, self._exact = model, selection, exact
        self.exact = ExactTensors(model, exact)

    @functools.cached_property
    def _layers(self) -> dict[str, Any]:
        return layer_paths(self._model)

    @functools.cached_property
    def _chosen(self) -> dict[str, Any]:
        return {path: layer for path, layer in self._layers.items() if self._selection.has(path, layer)}

    def run(self, step: Function, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """Run a train step; its errors are raised, those in looking at layers become notes.

        Returns:
            What the step returns, and what `statistics.pending` takes, with a row for each tag; None if there are none.
        """
        self.tags, self.descriptions = (), {}
        self.notes.clear()
        self.exact.begin()
        outputs = _backend().Outputs()
        outputs.keeps = self._exact is not None and tags.ACTIVATIONS in self._exact.kinds
        calls = LayerCalls(outputs)
        with contextlib.ExitStack() as stack:
            with self._noting():
                calls.watch(stack, self._layers, self._chosen)
            result = outputs.run(step, args, kwargs)
        begun = None
        with self._noting():
            self._note(calls, outputs)
            begun = self._begin(outputs)
        return result, begun

    def _begin(self, outputs: Any) -> Any:
        """Start counting, one row for each call outside of loops and one for each loop."""
        rows: dict[Any, list[int]] = {}
        for i, call in enumerate(outputs.calls):
            rows.setdefault(call if call.loop else i, []).append(i)
        if not rows:
            return None
        begun = outputs.begin(list(rows.values()))
        paths = [outputs.calls[row[0]].path for row in rows.values()]
        self.tags = tuple(_numbered([f"{tags.ACTIVATIONS}/{path}" for path in paths]))
        self.descriptions = {tag: self._describe(path) for tag, path in zip(self.tags, paths, strict=True)}
        if outputs.keeps:
            self._keep(outputs, [row[0] for row in rows.values()])
        return begun

    def _keep(self, outputs: Any, calls: Sequence[int]) -> None:
        """Keep outputs element by element, those of which there is an array and that were not computed in a loop."""
        for tag, at in zip(self.tags, calls, strict=True):
            tensor = None if outputs.calls[at].loop else outputs.kept(at)
            if tensor is not None and None in tensor.shape:
                cause = "exact activations of an unknown size"
                self.notes.append((cause, "outputs of layers are not kept element by element: the batches are not of one size."))
            elif tensor is not None:
                path = tag.partition("/")[2]
                self.exact.add(tags.ACTIVATIONS, [(path, self.descriptions[tag])], [tensor], lambda tensor: tensor)

    def _describe(self, path: str) -> str:
        return tags.description(path.replace("/", "."), type(self._layers[path]).__name__, STAGE)

    def _note(self, calls: LayerCalls, outputs: Any) -> None:
        """Note each layer of which an output was left out, and each pattern that means none."""
        left_out = {**calls.failures, **outputs.lost}
        for reason in dict.fromkeys(left_out.values()):
            paths = [path for path, why in left_out.items() if why == reason]
            self.notes.append((f"{tags.ACTIVATIONS} {paths}", f"outputs of layers {paths} were left out: {reason}"))
        absent = dict(self._selection.missing(self._chosen, self._layers))
        self.notes += absent.items()
        seen = {call.path for call in outputs.calls} | left_out.keys()
        for cause, _ in self._selection.missing(seen, ()):
            if cause not in absent:
                self.notes.append(
                    (cause, f"{cause!r} means layers of the model, but none that returned a tensor in the train step")
                )

    @contextlib.contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001  # nothing of ours may end a training
            name = type(error).__name__
            self.notes.append((f"{tags.ACTIVATIONS} {name}", f"activations of a step were left out: {name}: {error}"))


def _numbered(names: Sequence[str]) -> Iterator[str]:
    """Yield names with '#1' behind one that comes again, '#2' behind the next."""
    count: Counter[str] = Counter()
    for name in names:
        yield f"{name}#{count[name]}" if count[name] else name
        count[name] += 1


@functools.cache
def _backend() -> Any:
    return import_module(f"multiboard_keras.activations_{BACKEND}")

"""What a model makes of a few fixed inputs, epoch by epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from multiboard.arguments import check_positive
from multiboard.arrays import fetch_array, framework_of, take_array
from multiboard.errors import ArgumentError
from multiboard_keras.predictions import Predictions
from multiboard_keras.sample_cards import Pictures, Table, is_classes, is_pictures, value_range

if TYPE_CHECKING:
    import numpy.typing as npt

    from multiboard.run import Run

    Array = npt.NDArray[Any]


class Samples:
    """Fixed inputs whose predictions are logged at the end of epochs, with the weights of that moment.

    The inputs run through the model in one batch, with `training=False`; nothing of the training changes. Without `show`,

    - outputs `[N, H, W, 1 or 3]` become the images 'samples/predictions', in the range of targets of the same shape; inputs and
      targets of such a shape become the images 'samples/inputs' and 'samples/targets', once;
    - outputs `[N, K]` become a table of the three first classes with their shares (of the softmax, if the outputs are no shares),
      unless there are K targets that are no shares;
    - any others become a table of numbers.

    A model with several outputs has a 'samples/<output>' for each.

    Args:
        inputs: what the model is called with, N samples; an array, or a list or dict of arrays.
        targets: of the samples, in the structure of the outputs; for classes their numbers or one-hot rows.
        freq: log at the end of every epoch that this number divides, from epoch 0.
        show: is called with inputs and outputs, arrays of NumPy in their structures, and returns what is logged as
            'samples/predictions': pictures `[N, H, W, C]` or `[H, W, C]` as in `Run.image`, a matplotlib figure, or a markdown
            text; or a dict of them, logged as 'samples/<key>'. It runs on the training thread, which waits for the outputs.
        labels: names of the classes.

    Raises:
        ArgumentError: an argument is not one of the possible ones.
    """

    def __init__(
        self,
        inputs: Any,
        targets: Any = None,
        *,
        freq: int = 1,
        show: Callable[[Any, Any], Any] | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        self._inputs = _arrays("inputs", inputs)
        self._targets = None if targets is None else _arrays("targets", targets)
        self._freq = check_positive("freq", freq)
        if show is not None and not callable(show):
            raise ArgumentError("show", show, "pass a function of inputs and outputs")
        if isinstance(labels, str):
            raise ArgumentError("labels", labels, "pass a list with one name for each class")
        self._show = show
        self._labels = None if labels is None else list(labels)
        _check_numbers(self._inputs, self._targets)
        self._predictions = Predictions()
        self._introduced: set[Path] = set()

    def due(self, epoch: int) -> bool:
        """Whether predictions are logged at the end of an epoch, counted from 0."""
        return epoch % self._freq == 0

    def log(self, model: Any, run: Run, epoch: int, step: int) -> None:
        """Log the predictions of now; the user's `show` that raises is reported.

        Raises:
            Exception: whatever the model raises.
        """
        outputs = self._predictions.of(model, self._inputs)
        if self._show is not None:
            self._log_shown(outputs, run, epoch, step)
            return
        directory = Path(run.log_dir).resolve()
        if directory not in self._introduced:
            self._introduced.add(directory)
            _introduce("samples/inputs", self._inputs, run, step)
            _introduce("samples/targets", self._targets, run, step)
        self._log_outputs(_named_outputs(model, outputs), run, step)

    def _log_outputs(self, outputs: Mapping[str, Any], run: Run, step: int) -> None:
        for place, (name, output) in enumerate(outputs.items()):
            tag, shape = f"samples/{name}", tuple(output.shape)
            taken = take_array(tag, output)
            targets = _targets_of(self._targets, name, place)
            if is_pictures(shape):
                known = value_range(targets) if targets is not None and targets.shape == shape else None
                _log_pictures(tag, Pictures(taken, shape, known), run, step)
            else:
                classes = is_classes(shape, targets)
                run.text(tag, Table(taken, targets, classes=classes, labels=self._labels), step)

    def _log_shown(self, outputs: Any, run: Run, epoch: int, step: int) -> None:
        taken = keras.tree.map_structure(lambda output: fetch_array(take_array("samples", output)), outputs)
        try:
            shown = self._show(keras.tree.map_structure(np.copy, self._inputs), taken)  # type: ignore[misc]  # it is not None
            for name, card in shown.items() if isinstance(shown, Mapping) else [("predictions", shown)]:
                _log_card(f"samples/{name}", card, run, step)
        except Exception as error:  # noqa: BLE001  # the user's function must not end the training
            message = f"samples of epoch {epoch} were not logged: show raised {type(error).__name__}: {error}"
            run.report(f"samples {type(error).__name__}", message)


def _log_card(tag: str, card: Any, run: Run, step: int) -> None:
    if isinstance(card, str):
        run.text(tag, card, step)
    elif hasattr(card, "savefig"):
        run.figure(tag, card, step)
    elif card is not None:
        run.image(tag, card, step)


def _introduce(tag: str, arrays: Any, run: Run, step: int) -> None:
    """Log those of inputs or targets that are pictures."""
    several = arrays if isinstance(arrays, dict) else dict(enumerate(arrays)) if isinstance(arrays, list) else None
    named = {tag: arrays} if several is None else {f"{tag}/{name}": array for name, array in several.items()}
    for full, array in named.items():
        if array is not None and is_pictures(array.shape):
            _log_pictures(full, Pictures(array, array.shape, value_range(array)), run, step)


def _log_pictures(tag: str, pictures: Pictures, run: Run, step: int) -> None:
    run.image(tag, pictures, step, dataformats="NHWC", description=pictures.description)


def _arrays(argument: str, given: Any) -> Any:
    """Return inputs or targets as NumPy arrays: one, a list of them or a dict of them."""
    if isinstance(given, Mapping):
        return {name: _array(part) for name, part in given.items()}
    if isinstance(given, (list, tuple)) and any(getattr(part, "ndim", 0) for part in given):
        return [_array(part) for part in given]
    array = _array(given)
    if array.ndim == 0:
        raise ArgumentError(argument, given, "pass an array, or a list or dict of arrays, with the samples in front")
    return array


def _array(given: Any) -> Array:
    if framework_of(type(given)) in {"", "numpy"}:
        return np.array(given)  # texts, too
    return np.array(fetch_array(take_array("samples", given)))


def _check_numbers(inputs: Any, targets: Any) -> None:
    """Raise ArgumentError unless all arrays hold the same number of samples, at least one."""
    given = {"inputs": inputs} | ({} if targets is None else {"targets": targets})
    numbers = {name: [len(array) for array in keras.tree.flatten(part)] for name, part in given.items()}
    expected = numbers["inputs"][:1]
    for name, found in numbers.items():
        if set(found) != set(expected) or not expected[0]:
            raise ArgumentError(name, found, "pass arrays that all hold the same number of samples, at least one")


def _named_outputs(model: Any, outputs: Any) -> dict[str, Any]:
    if isinstance(outputs, Mapping):
        return {str(name): output for name, output in outputs.items()}
    if not isinstance(outputs, (list, tuple)):
        return {"predictions": outputs}
    if len(outputs) == 1:
        return {"predictions": outputs[0]}
    names = getattr(model, "output_names", None) or []
    distinct = len(set(names)) == len(outputs)
    return {names[place] if distinct else f"output_{place}": output for place, output in enumerate(outputs)}


def _targets_of(targets: Any, name: str, place: int) -> Array | None:
    if isinstance(targets, dict):
        return targets.get(name)
    if isinstance(targets, list):
        return targets[place] if place < len(targets) else None
    return targets if place == 0 else None

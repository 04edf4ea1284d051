"""The functions of `multiboard.summary` that log, each one call of the default writer's run; see there for what they share."""

from __future__ import annotations

import contextlib
import operator
from typing import TYPE_CHECKING, Any

from multiboard.errors import ArgumentError
from multiboard.summary.file_writer import SummaryWriter
from multiboard.summary.state import defaults, is_recording, replaced, scoped
from multiboard.writer.summaries import step_of, write_tensor, write_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from multiboard.run import Run
    from multiboard.summary.state import Condition
    from multiboard.values import Foreign


def should_record_summaries() -> bool:
    """Tell whether a value that is logged now would be recorded."""
    return is_recording()


@contextlib.contextmanager
def record_if(condition: Condition) -> Iterator[None]:
    """Record values inside a block only if a condition holds; the innermost block counts.

    Args:
        condition: a bool, a scalar of any framework, or a function that returns one and is asked at each call. A condition on a
            device is waited for.
    """
    with replaced(condition=condition):
        yield


def flush(writer: SummaryWriter | None = None, name: str | None = None) -> None:  # noqa: ARG001  # of TensorFlow's signature
    """Wait until all that was logged is in the file.

    Args:
        writer: None is the default writer; without one nothing happens.
        name: accepted.

    Raises:
        ArgumentError: `writer` is something else.
    """
    if writer is not None and not isinstance(writer, SummaryWriter):
        raise ArgumentError("writer", writer, "pass a writer of multiboard.summary.create_file_writer")
    run = defaults.run if writer is None else writer.run
    if run is not None:
        run.flush()


def scalar(name: str, data: Foreign, step: Any = None, description: str | None = None) -> bool:
    """Log one number as float32, see `Run.scalar`.

    Args:
        name: of the chart.
        data: a number, or an array of one element.
        step: None is the default step.
        description: not written, which is said once.
    """
    run, at = _open(step)
    if run is None:
        return False
    tag = scoped(name)
    if description:
        run.report("description of a scalar", f"tag {tag!r}: descriptions of scalars are not written.")
    run.scalar(tag, data, at)
    return True


def image(name: str, data: Foreign, step: Any = None, max_outputs: int = 3, description: str | None = None) -> bool:
    """Log pictures, see `Run.image`.

    Args:
        name: of the card.
        data: `[K, H, W, C]`, uint8 (0 to 255) or float (0 to 1); an array, or a list of K pictures. Other integers count as
            0 to 255.
        step: None is the default step.
        max_outputs: the first of the pictures that are kept.
        description: markdown, shown with the card; the first one of a tag counts.
    """
    run, at = _open(step)
    if run is None:
        return False
    run.image(scoped(name), _first(run, data, max_outputs, rank=4), at, dataformats="NHWC", description=description or "")
    return True


def text(name: str, data: Any, step: Any = None, description: str | None = None) -> bool:
    """Log a markdown text, see `Run.text`; texts of rank 1 or 2 are shown as a table.

    Args:
        name: of the card.
        data: str or bytes in UTF-8, a string tensor, or lists of them.
        step: None is the default step.
        description: markdown, shown with the card; the first one of a tag counts.
    """
    run, at = _open(step)
    if run is None:
        return False
    write_text(run, scoped(name), data, at, description or "")
    return True


def histogram(
    name: str,
    data: Foreign,
    step: Any = None,
    buckets: int | None = None,  # noqa: ARG001  # of TensorFlow's signature
    description: str | None = None,
) -> bool:
    """Log the distribution of an array, see `Run.histogram`.

    Args:
        name: of the card.
        data: array of any shape; may be empty or hold NaN and infinities.
        step: None is the default step.
        buckets: accepted: the bucket edges are the same for all tensors, so that histograms can be compared.
        description: markdown, shown with the card; the first one of a tag counts.
    """
    run, at = _open(step)
    if run is None:
        return False
    run.histogram(scoped(name), data, at, description=description or "")
    return True


def audio(
    name: str,
    data: Foreign,
    sample_rate: int,
    step: Any = None,
    max_outputs: int = 3,
    encoding: str | None = None,
    description: str | None = None,
) -> bool:
    """Log clips as 16-bit WAV, see `Run.audio`.

    Args:
        name: of the card.
        data: `[K, T, C]`, float from -1 to 1.
        sample_rate: Hz.
        step: None is the default step.
        max_outputs: the first of the clips that are kept.
        encoding: None or 'wav'; anything else is WAV too, which is said once.
        description: markdown, shown with the card; the first one of a tag counts.
    """
    run, at = _open(step)
    if run is None:
        return False
    tag = scoped(name)
    if encoding not in {None, "wav"}:
        run.report("encoding of audio", f"tag {tag!r}: encoding {encoding!r} is not there; clips are written as 'wav'.")
    run.audio(tag, _first(run, data, max_outputs, rank=3), at, sample_rate=sample_rate, description=description or "")
    return True


def write(tag: str, tensor: Any, step: Any = None, metadata: Any = None, name: str | None = None) -> bool:  # noqa: ARG001  # of TensorFlow's signature
    """Log a tensor with the metadata that names its plugin; name scopes do not count here.

    Args:
        tag: of the tensor.
        tensor: numbers or strings of any shape, or a function that returns them and is called if they are recorded. With
            metadata, a tensor on a device is waited for.
        step: None is the default step.
        metadata: a SummaryMetadata message or its bytes. None logs numbers for `multiboard.read`, see `Run.tensor`.
        name: accepted.

    Raises:
        ArgumentError: `metadata` is neither.
    """
    run, at = _open(step)
    if run is None:
        return False
    write_tensor(run, tag, tensor() if callable(tensor) else tensor, at, metadata)
    return True


def graph(graph_data: Any) -> bool:
    """Show a finished graph in the Graphs tab, see `Run.graph`.

    Args:
        graph_data: a `tf.Graph`, a GraphDef message, or its bytes.
    """
    run = defaults.run
    if run is None or not is_recording():
        return False
    found = graph_data.as_graph_def(add_shapes=True) if hasattr(graph_data, "as_graph_def") else graph_data
    run.graph(found.SerializeToString() if hasattr(found, "SerializeToString") else found)
    return True


def _open(step: Any) -> tuple[Run | None, Any]:
    """Return the run that records now, or None, and the step of a call."""
    run = defaults.run
    if run is None or not is_recording():
        return None, None
    return run, step_of(defaults.step if step is None else step, run)


def _first(run: Run, data: Any, count: Any, *, rank: int) -> Any:
    """Return the first entries of an array or list of the stated rank; anything else as it is, for `Run` to judge."""
    try:
        number = operator.index(count)
    except TypeError:
        number = -1
    if number < 0:
        run.report("max_outputs", f"max_outputs={count!r:.50} is not an integer of at least 0; everything is kept.")
        return data
    return data[:number] if _rank(data) == rank else data


def _rank(data: Any) -> int:
    if hasattr(data, "shape"):
        return len(data.shape)
    return 1 + _rank(data[0]) if isinstance(data, (list, tuple)) and data else 0

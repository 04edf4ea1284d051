"""Shorter ways to the numbers that TensorBoard holds than its data provider, which makes an object of every point.

Both readers keep the tensors of a tag as messages whose bytes are the numbers. Where a name has moved in another version of
TensorBoard, or a message looks otherwise, the provider is asked, and the columns are the same.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np


class Series(NamedTuple):
    """The points of one tag: steps, wall times, and numbers or TensorProto messages."""

    step: Sequence[int]
    wall_time: Sequence[float]
    value: Sequence[Any]


Shortcut: TypeAlias = Callable[[str, str, Sequence[str], int | None], dict[str, Series]]
"""Takes a plugin, a run, tags, and how many points, 1 for the last one; returns numbers of scalars, and messages of others."""


def shortcut(provider: Any, multiplexer: Any, experiment: str) -> Shortcut | None:
    """Return the shorter way to the numbers of TensorBoard's reader; None if there is none that is known.

    Args:
        provider: tensorboard.data.provider.DataProvider.
        multiplexer: that of the Python reader, which `TBContext` names; None with the data server.
        experiment: its id.
    """
    if callable(getattr(multiplexer, "Tensors", None)):
        return partial(_held, multiplexer)
    stub = getattr(provider, "_stub", None)
    if stub is None or not hasattr(stub, "ReadScalars") or not hasattr(stub, "ReadTensors"):
        return None
    return partial(_asked, stub, experiment)


def _held(multiplexer: Any, plugin: str, run: str, tags: Sequence[str], points: int | None) -> dict[str, Series]:
    """Take what the Python reader has in memory."""
    found = {}
    for tag in tags:
        with contextlib.suppress(KeyError):  # it has gone since it was listed
            events = multiplexer.Tensors(run, tag)
            found[tag] = _events(events[-points:] if points else events, plugin)
    return found


def _events(events: Sequence[Any], plugin: str) -> Series:
    value = [event.tensor_proto for event in events]
    return Series(
        [event.step for event in events],
        [event.wall_time for event in events],
        _numbers(value) if plugin == "scalars" else value,
    )


def _numbers(tensors: Sequence[Any]) -> Any:
    """Return the numbers that tensors hold, from their bytes at once if these are the same but for one float at their ends."""
    whole = b"".join(map(type(tensors[0]).SerializeToString, tensors)) if tensors else b""
    size = len(whole) // max(len(tensors), 1)
    if len(whole) == size * len(tensors) and size > _FLOAT and len(tensors[0].float_val) == 1:
        rows = np.frombuffer(whole, np.uint8).reshape(-1, size)
        if (rows[:, :-_FLOAT] == rows[0, :-_FLOAT]).all():
            with np.errstate(invalid="ignore"):  # signalling NaNs are data
                return np.frombuffer(rows[:, -_FLOAT:].tobytes(), "<f4").astype(np.float64)
    return [_number(tensor) for tensor in tensors]


def _number(tensor: Any) -> float:
    if len(tensor.float_val) == 1:
        return float(tensor.float_val[0])
    from tensorboard.util import tensor_util

    return float(tensor_util.make_ndarray(tensor).item())


def _asked(stub: Any, experiment: str, plugin: str, run: str, tags: Sequence[str], points: int | None) -> dict[str, Series]:
    """Ask the data server as tensorboard/data/grpc_provider.py does."""
    from tensorboard.data.proto import data_provider_pb2 as messages

    scalars = plugin == "scalars"
    request = messages.ReadScalarsRequest() if scalars else messages.ReadTensorsRequest()
    request.experiment_id = experiment
    request.plugin_filter.plugin_name = plugin
    request.run_tag_filter.runs.names[:] = [run]
    request.run_tag_filter.tags.names[:] = sorted(tags)
    request.downsample.num_points = points or ALL
    answer = stub.ReadScalars(request) if scalars else stub.ReadTensors(request)
    return {
        entry.tag_name: Series(entry.data.step, entry.data.wall_time, entry.data.value)
        for one in answer.runs
        for entry in one.tags
    }


_FLOAT: Final = 4
"""Bytes of a number of TensorProto.float_val, which is the last field of a message that has it."""
ALL: Final = 10**9
"""Points of a tag beyond all that are kept."""

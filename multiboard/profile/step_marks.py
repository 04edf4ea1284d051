"""Steps that a profiler has marked in a way that XProf does not see: those of Keras' own TensorBoard callback.

XProf takes an event for a step if it has the stats `_r` and `step_num`. Keras leaves the former out on TensorFlow, and both on
JAX, where the number is in the name: "Profiled batch 5" (keras/src/callbacks/tensorboard.py).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from multiboard.profile.xspace import HOST_PLANE, PlaneBuilder, find_plane

if TYPE_CHECKING:
    from collections.abc import Iterator

    from multiboard.profile.messages import XLine, XPlane, XSpace

MARK: Final = "train"
"""The name by which XProf knows that an event is a step, and no work of the host."""
_BATCH: Final = re.compile(r"Profiled batch(?: (\d+))?")


def mark_steps(space: XSpace) -> None:
    """Give the steps of Keras' callback the marks of steps, in place; does nothing if some event has them."""
    plane = find_plane(space, HOST_PLANE)
    if plane is None:
        return
    batches = {number: match for number, one in plane.event_metadata.items() if (match := _BATCH.fullmatch(one.name))}
    if not batches or any(marked(plane)):
        return
    builder = PlaneBuilder(plane)
    step_num = builder.stat_id("step_num")
    for event in (event for line in plane.lines for event in line.events if event.metadata_id in batches):
        numbered = any(stat.metadata_id == step_num for stat in event.stats)
        number = batches[event.metadata_id][1]
        if not numbered and number:
            builder.add_stat(event.stats, "step_num", int(number))
        if numbered or number:
            builder.add_stat(event.stats, "_r", 1)
    for number in batches:
        plane.event_metadata[number].name = MARK


def marked(plane: XPlane) -> Iterator[tuple[XLine, int]]:
    """Yield the line and the place in it of each event that has the marks of a step."""
    marks = {number for number, stat in plane.stat_metadata.items() if stat.name in {"_r", "step_num"}}
    if len(marks) > 1:
        for line in plane.lines:
            for place, event in enumerate(line.events):
                if marks <= {stat.metadata_id for stat in event.stats}:
                    yield line, place

"""The layout of the Custom Scalars tab: charts of several tags, and bands around one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from multiboard import wire
from multiboard.errors import ArgumentError
from multiboard.values import Summary

TAG: Final = "custom_scalars__config__"
_MARGIN: Final = 3
_RULE: Final = (
    "pass {category: {chart title: ['Multiline', [tag patterns]]}}, or ['Margin', [value, lower, upper]] for a chart with a band"
)


def take(layout: object, wall_time: float) -> Summary:
    """Return a layout as the value that TensorBoard reads (Layout, plugins/custom_scalar/layout.proto).

    Raises:
        ArgumentError: it has another form.
    """
    if not isinstance(layout, Mapping) or not all(isinstance(charts, Mapping) for charts in layout.values()):
        raise ArgumentError("layout", layout, _RULE)
    categories = [
        wire.message(
            2,
            wire.message(1, str(category).encode()),
            *(wire.message(2, _chart(str(title), content)) for title, content in charts.items()),
        )
        for category, charts in layout.items()
    ]
    return Summary(TAG, "custom_scalars", wire.TENSOR, wire.strings(b"".join(categories), rank=0), 0, wall_time)


def _chart(title: str, content: Any) -> bytes:
    try:
        form, tags = content
        names = [name.encode() for name in ([tags] if isinstance(tags, str) else tags)]
    except (TypeError, ValueError, AttributeError) as error:
        raise ArgumentError("layout", content, _RULE) from error
    if form == "Multiline" and names:
        return wire.message(1, title.encode()) + wire.message(2, *(wire.message(1, name) for name in names))
    if form == "Margin" and names and len(names) % _MARGIN == 0:
        series = [names[i : i + _MARGIN] for i in range(0, len(names), _MARGIN)]
        bands = [wire.message(1, *(wire.message(i, name) for i, name in enumerate(one, 1))) for one in series]
        return wire.message(1, title.encode()) + wire.message(3, *bands)
    raise ArgumentError("layout", content, _RULE)

"""The pprof file of JAX's live buffers becomes rows by the place that made them."""

import gzip

import pytest

from multiboard.profile.live_buffers import _Profile, rows_of
from multiboard.profile.summary import LiveRow, summarize
from multiboard.profile.xspace import XSpace


def pprof(samples, sample_types=("allocations", "space")):
    """Return a profile of samples: values, labels, and frames as (function, file, line), the innermost first."""
    words, functions, locations, rows = [""], {}, {}, []

    def word(text):
        if text not in words:
            words.append(text)
        return words.index(text)

    for values, labels, frames in samples:
        numbers = []
        for function, file, line in frames:
            number = functions.setdefault((function, file), len(functions) + 1)
            numbers.append(locations.setdefault((number, line), len(locations) + 1))
        named = [{"key": word(key), "str": word(text)} for key, text in labels.items()]
        rows.append({"value": values, "location_id": numbers, "label": named})
    profile = _Profile(
        sample_type=[{"type": word(name)} for name in sample_types],
        sample=rows,
        location=[{"id": i, "line": [{"function_id": number, "line": line}]} for (number, line), i in locations.items()],
        function=[{"id": i, "name": word(name), "filename": word(file)} for (name, file), i in functions.items()],
    )
    profile.string_table.extend(words)
    return gzip.compress(profile.SerializeToString(), mtime=0)


JAX = ("wrapper", "/usr/lib/python3.11/site-packages/jax/_src/api.py", 5)
BUFFER = {"kind": "buffer", "device": "cpu:0"}


def test_buffers_are_added_up_by_the_innermost_line_that_people_wrote():
    content = pprof([
        ([1, 100], BUFFER, [JAX, ("step", "/home/me/train.py", 7), ("main", "/home/me/train.py", 99)]),
        ([2, 50], BUFFER, [("step", "/home/me/train.py", 7)]),
        ([1, 9000], {"kind": "executable"}, [("compile", "/home/me/train.py", 3)]),
        ([4, 600], {**BUFFER, "device": "cpu:1"}, [("init", "C:\\me\\model.py", 1)]),
        ([1, 1], BUFFER, [JAX]),
        ([1, 2], BUFFER, []),
    ])  # fmt: skip
    assert rows_of(content) == (
        LiveRow("model.py:1 in init", "cpu:1", 4, 600),
        LiveRow("train.py:7 in step", "cpu:0", 3, 150),
        LiveRow("unknown", "cpu:0", 1, 2),
        LiveRow("api.py:5 in wrapper", "cpu:0", 1, 1),
    )


def test_values_are_told_by_their_type():
    content = pprof([([100, 1], BUFFER, [])], ("space", "allocations"))
    assert rows_of(content) == (LiveRow("unknown", "cpu:0", 1, 100),)


def test_they_are_a_table_and_a_scalar_of_the_summary():
    content = pprof([([1, 2048], BUFFER, [("step", "train.py", 7)]), ([1, 1024], BUFFER, [("init", "model.py", 1)])])
    summary = summarize(XSpace(), live_buffers=content)
    assert summary.scalars() == {"profile/live_bytes": 3072}
    text = summary.texts()["profile/live_buffers"]
    assert "| `train.py:7 in step` | cpu:0 | 2 KiB | 1 |" in text
    assert "| **Total** |  | **3 KiB** | **2** |" in text


@pytest.mark.parametrize(
    "content", [b"\x1f\x8b", b"\x1f\x8b" + bytes(20), gzip.compress(b"\xff\xff", mtime=0), pprof([])[:30], b"\xff"]
)
def test_something_else_is_refused(content):
    with pytest.raises(ValueError, match="no profile of live buffers"):
        rows_of(content)

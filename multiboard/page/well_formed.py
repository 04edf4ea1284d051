"""Texts as a browser can send and a file in UTF-8 can hold them: without halves of surrogate pairs."""

from __future__ import annotations


def well_formed(text: str) -> str:
    r"""Return a text with U+FFFD in place of each half of a surrogate pair, as JavaScript's toWellFormed does.

    A name of a file has them in place of bytes that are no UTF-8.

    >>> well_formed("a\udcff") == "a\ufffd", well_formed("\ud83d\ude00") == "\U0001f600"
    (True, True)
    """
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

"""Printed text to markdown: whole lines as a terminal would show them, without secrets, and not more than a run can bear."""

from __future__ import annotations

import re
from collections import deque
from typing import Final

from multiboard.environment import fenced
from multiboard.facts.masking import masked, without_private_keys

BUDGET: Final = 2**20
"""Characters of one run: the first half as they come, of what follows the last half."""
LONGEST: Final = 4096
"""Characters of a line; the rest is cut."""
_ESCAPES: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
"""Sequences of ECMA-48 that colour text and move the cursor, and titles of windows."""
_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
"""Control characters, and halves of surrogate pairs, as which Python prints bytes that are no UTF-8."""


class Lines:
    """Puts the parts of prints together to lines; of a line that was written over, as progress bars do, the last state counts."""

    def __init__(self) -> None:
        self._begun: dict[str, str] = {}
        self._finished: list[str] = []

    def add(self, stream: str, text: str) -> None:
        """Take a part.

        Args:
            stream: that it was written to: parts of several streams do not mix within a line.
            text: may hold no, one or several lines.
        """
        *whole, rest = (self._begun.get(stream, "") + without_private_keys(text)).split("\n")
        self._finished += map(shown, whole)
        if len(rest) > LONGEST:
            rest = rest[rest.rfind("\r", 0, -1) + 1 :][-LONGEST:] if "\r" in rest[:-1] else rest[:LONGEST]
        self._begun[stream] = rest

    def finished(self, *, last: bool = False) -> list[str]:
        """Return the whole lines since the last call.

        Args:
            last: also those that have not ended.
        """
        if last:
            self._finished += [line for line in map(shown, self._begun.values()) if line]
            self._begun.clear()
        lines, self._finished = self._finished, []
        return lines


def shown(line: str) -> str:
    r"""Return what a terminal shows of a line, without colours.

    >>> shown(" 10%|#         |\r100%|##########|\x1b[32m done\x1b[0m\r")
    '100%|##########| done'
    """
    states = _ESCAPES.sub("", line).split("\r")
    state = next((state for state in reversed(states) if state.strip("\x08 ")), "")
    return masked(_UNPRINTABLE.sub("", state)[:LONGEST]).rstrip()


class Budget:
    """Keeps the texts of one run small: the beginning is written as it comes, of the rest the end is kept until the run ends."""

    def __init__(self) -> None:
        self._left = BUDGET // 2
        self._end: deque[str] = deque()
        self._end_size = 0
        self._dropped = 0

    def take(self, lines: list[str]) -> str:
        """Return the text of lines to write now, '' if there is none."""
        now: list[str] = []
        for line in lines:
            if self._left > 0:
                self._left -= len(line) + 1
                now.append(line)
            else:
                self._keep(line)
        full = f"\n\nMore than {BUDGET // 2} characters: the end follows when the run is closed."
        note = full if now and self._left <= 0 else ""
        return fenced("\n".join(now)) + note if any(now) else ""

    def rest(self) -> str:
        """Return the text of the end, once; '' if everything was written before."""
        if not self._end:
            return ""
        left_out = f"{self._dropped} lines are left out here.\n\n" if self._dropped else ""
        text = left_out + fenced("\n".join(self._end))
        self._end.clear()
        return text

    def _keep(self, line: str) -> None:
        self._end.append(line)
        self._end_size += len(line) + 1
        while self._end_size > BUDGET // 2:
            self._end_size -= len(self._end.popleft()) + 1
            self._dropped += 1

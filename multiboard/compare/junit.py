"""A comparison as a JUnit report, which continuous integration shows as tests."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from multiboard.compare.comparison_text import number, worst_of

if TYPE_CHECKING:
    from multiboard.compare.comparison import Comparison

_UNPRINTABLE: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold."""


def to_junit(comparison: Comparison) -> str:
    """Return a comparison as JUnit XML.

    A test case per run and kind, which fails if something of the kind parts; one per run for mismatches of size, and one for what
    could not be compared, which is an error.
    """
    suite = ET.Element("testsuite", name="multiboard compare")
    for worst in worst_of(comparison.findings):
        case = _case(suite, worst.run, worst.kind)
        lines = [
            f"{one.name} from step {one.step} on: {number(one.distance)} apart at step {one.beyond}, limit {number(one.limit)}"
            for one in comparison.parted
            if (one.run, one.kind) == (worst.run, worst.kind)
        ]
        if lines:
            _outcome(case, "failure", lines)
    for run in comparison.names[1:]:
        case = _case(suite, run, "sizes")
        sizes = [f"{one.what} {one.name}: {one.a} | {one.b}" for one in comparison.gate if one.run == run and one.fails]
        if sizes:
            _outcome(case, "failure", sizes)
        case = _case(suite, run, "all compared")
        missing = [note.text for note in comparison.notes if note.run == run and note.missing]
        if missing:
            _outcome(case, "error", missing)
    for name, what in (("tests", "testcase"), ("failures", "testcase/failure"), ("errors", "testcase/error")):
        suite.set(name, str(len(suite.findall(what))))
    return ET.tostring(suite, encoding="unicode", xml_declaration=True)


def _case(suite: ET.Element, run: str, name: str) -> ET.Element:
    return ET.SubElement(suite, "testcase", classname=f"multiboard.compare.{_printable(run)}", name=_printable(name))


def _outcome(case: ET.Element, outcome: str, lines: list[str]) -> None:
    ET.SubElement(case, outcome, message=_printable(lines[0])).text = _printable("\n".join(lines))


def _printable(text: str) -> str:
    return _UNPRINTABLE.sub("\ufffd", text)

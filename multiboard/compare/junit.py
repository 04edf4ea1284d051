"""A comparison as a JUnit report, which continuous integration shows as tests."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from multiboard.compare.comparison_text import diagnosis_lines, number, oracle_lines, worst_of
from multiboard.compare.oracle import SAME_WRONG

if TYPE_CHECKING:
    from multiboard.compare.comparison import Comparison

_UNPRINTABLE: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold."""


def to_junit(comparison: Comparison) -> str:
    """Return a comparison as JUnit XML.

    A test case per run and kind, which fails if something of the kind parts; one per run for mismatches of size, and one for what
    could not be compared, which is an error. With a reference there is one more, which fails if both runs make the same mistake.
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
            _outcome(case, "failure", lines + _diagnosed(comparison, worst.run, worst.kind))
    for run in comparison.names[1:]:
        case = _case(suite, run, "sizes")
        sizes = [f"{one.what} {one.name}: {one.a} | {one.b}" for one in comparison.gate if one.run == run and one.fails]
        if sizes:
            _outcome(case, "failure", sizes)
        if comparison.reference:
            case = _case(suite, run, "reference")
            alike = [one for one in comparison.same_wrong if one.run == run]
            if alike:
                _outcome(case, "failure", [line for line in oracle_lines(comparison) if line.startswith(SAME_WRONG)])
        case = _case(suite, run, "all compared")
        missing = [note.text for note in comparison.notes if note.run == run and note.missing]
        if missing:
            _outcome(case, "error", missing)
    for name, what in (("tests", "testcase"), ("failures", "testcase/failure"), ("errors", "testcase/error")):
        suite.set(name, str(len(suite.findall(what))))
    return ET.tostring(suite, encoding="unicode", xml_declaration=True)


def _diagnosed(comparison: Comparison, run: str, kind: str) -> list[str]:
    """Return what may be wrong with a run, if this is the kind that parts first."""
    first = next(one for one in comparison.parted if one.run == run)
    told = [line for one in comparison.diagnoses if one.run == run for line in diagnosis_lines(one)]
    return told if first.kind == kind else []


def _case(suite: ET.Element, run: str, name: str) -> ET.Element:
    return ET.SubElement(suite, "testcase", classname=f"multiboard.compare.{_printable(run)}", name=_printable(name))


def _outcome(case: ET.Element, outcome: str, lines: list[str]) -> None:
    ET.SubElement(case, outcome, message=_printable(lines[0])).text = _printable("\n".join(lines))


def _printable(text: str) -> str:
    return _UNPRINTABLE.sub("\ufffd", text)

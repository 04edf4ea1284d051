"""JSON lines of the benchmarks to Markdown: one table per topic, sorted, with ratios to multiboard or the first, and the targets.

python benchmarks/summary.py results.jsonl > tables.md

A line of a topic that this file has never heard of is shown, too: every number in it that is not about the machine is a figure.
"""

from __future__ import annotations

import json
import sys
from itertools import chain
from pathlib import Path
from typing import Any

from contenders import OURS
from targets import TARGETS, Target

ABOUT = {
    "topic",
    "contender",
    "package",
    "version",
    "verified",
    "date",
    "python",
    "numpy",
    "tensorflow",
    "cpu",
    "cores",
    "gpu",
    "load",
    "round",
    "rounds",
    "median",
    "left_out",
}
"""Fields that are not figures."""

Line = dict[str, Any]


def read_medians(paths: list[Path]) -> dict[str, dict[str, Line]]:
    """Return the newest median, or the reason for its absence, by topic and contender."""
    topics: dict[str, dict[str, Line]] = {}
    for text in chain.from_iterable(path.read_text().splitlines() for path in paths):
        line = json.loads(text)
        if line.get("median") or "left_out" in line:
            topics.setdefault(line["topic"], {})[line["contender"]] = line
    return topics


def figures_of(line: Line) -> dict[str, float]:
    """Return the measured numbers of a line by name."""
    return {key: value for key, value in line.items() if key not in ABOUT and isinstance(value, (int, float))}


def number(value: float) -> str:
    """Return a number with three significant digits, never with an exponent."""
    digits = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    return f"{round(value, 3 - digits):,.{max(0, min(3, 3 - digits))}f}"


def topic_table(topic: str, lines: dict[str, Line]) -> str:
    """Return heading, machine, table and what was left out."""
    measured = sorted(
        (line for line in lines.values() if line.get("median")), key=lambda line: next(iter(figures_of(line).values()))
    )
    parts = [f"### {topic}", _machine(list(lines.values()))]
    if measured:
        names = list(figures_of(measured[0]))
        ours = lines.get(OURS) or next(iter(lines.values()))
        heads = ["contender", "version", *(name.replace("_", " ") for name in names), "read back by"]
        rows = [
            [line["contender"], line["version"], *_cells(line, names, figures_of(ours)), line.get("verified") or "-"]
            for line in measured
        ]
        parts.append(_markdown(heads, rows))
    parts += [f"Left out: {name}: {line['left_out']}" for name, line in lines.items() if "left_out" in line]
    return "\n\n".join(parts)


def _cells(line: Line, names: list[str], ours: dict[str, float]) -> list[str]:
    cells = []
    for name in names:
        value = figures_of(line).get(name, float("nan"))
        ratio = f" ({number(value / ours[name])}x)" if ours.get(name) and value != ours[name] else ""
        cells.append(number(value) + ratio if value == value else "-")  # noqa: PLR0124  # NaN
    return cells


def _machine(lines: list[Line]) -> str:
    first, loads = lines[0], [line["load"] for line in lines if "load" in line]
    versions = ", ".join(f"{name} {first[key]}" for name, key in (("Python", "python"), ("numpy", "numpy")) if first.get(key))
    machine = [f"{first[key]}{unit}" for key, unit in (("cpu", ""), ("cores", " cores"), ("gpu", "")) if first.get(key)]
    rounds = {line["rounds"] for line in lines if "rounds" in line}
    stated = [*machine, versions, first.get("date", ""), f"load {min(loads)} to {max(loads)}" if loads else ""]
    return ", ".join(filter(None, [*stated, *(f"median of {count}" for count in sorted(rounds))])) + "."


def _markdown(heads: list[str], rows: list[list[str]]) -> str:
    ruler = ["---"] + ["---:" for _ in heads[1:]]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heads, ruler, *rows))


def target_table(topics: dict[str, dict[str, Line]]) -> str:
    """Return all targets whose topic was measured, with what was reached."""
    rows = []
    for target in TARGETS:
        lines = topics.get(target.topic, {})
        reached = figures_of(lines.get(target.contender, {})).get(target.figure)
        if reached is not None:
            rows.append([f"{target.topic}, {target.figure.replace('_', ' ')}", *_verdict(target, reached, lines)])
    return "### Targets\n\n" + _markdown(["figure", "target", "reached", "met"], rows)


def _verdict(target: Target, reached: float, lines: dict[str, Line]) -> tuple[str, str, str]:
    if target.at_most is not None:
        return f"at most {target.at_most}", number(reached), "yes" if reached <= target.at_most else "**no**"
    peers = {name: figures_of(line).get(target.figure) for name, line in lines.items() if name.partition(" (n")[0] in target.than}
    found = {name: value / reached for name, value in peers.items() if value is not None}
    if not found:
        return f"{target.times_less} times less", "no peer was measured", "-"
    nearest = min(found, key=lambda name: found[name])
    met = target.times_less is not None and found[nearest] >= target.times_less
    than = " and ".join(target.than) if len(target.than) < 3 else f"each of {len(target.than)} peers"
    return (
        f"{target.times_less} times less than {than}",
        f"{number(found[nearest])} times ({nearest})",
        "yes" if met else "**no**",
    )


def main() -> None:
    """Print the tables of the files named on the command line."""
    topics = read_medians([Path(name) for name in sys.argv[1:]])
    for topic, lines in topics.items():
        print(topic_table(topic, lines), end="\n\n")
    print(target_table(topics))


if __name__ == "__main__":
    main()

"""A comparison as JSON."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from multiboard.compare.comparison_text import VERDICTS, oracle_lines, worst_of

if TYPE_CHECKING:
    from multiboard.compare.comparison import Comparison


def to_json(comparison: Comparison) -> str:
    """Return all but the single steps of a comparison as JSON.

    NaN is null; infinite numbers are the texts 'inf' and '-inf'.
    """
    return json.dumps(_plain(_content(comparison)), indent=1, allow_nan=False)


def _content(comparison: Comparison) -> dict[str, Any]:
    return {
        "runs": comparison.names,
        "code": comparison.code,
        "verdict": VERDICTS[comparison.code],
        "noise": comparison.noise,
        "tolerances": comparison.tolerances,
        "gate": [mismatch._asdict() for mismatch in comparison.gate],
        "divergence": [one._asdict() for one in comparison.divergence],
        "diagnoses": [one._asdict() for one in comparison.diagnoses],
        "parted": len(comparison.parted),
        "largest": [worst._asdict() for worst in worst_of(comparison.findings)],
        "start": {run: start._asdict() for run, start in comparison.starts.items()},
        "oracle": {
            "run": comparison.reference or None,
            "same_wrong": [row._asdict() for row in comparison.same_wrong],
            "text": oracle_lines(comparison),
        },
        "exact": [row._asdict() for row in comparison.exact],
        "notes": [note._asdict() for note in comparison.notes],
        "layers": {
            run: {
                "pairs": [pair._asdict() for pair in alignment.pairs],
                "only_a": [layer.path for layer in alignment.only_a],
                "only_b": [layer.path for layer in alignment.only_b],
            }
            for run, alignment in comparison.alignments.items()
        },
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value

"""The uniform tags of what a Trainer logs."""

from __future__ import annotations

from typing import Any, Final

from multiboard import tags

_SPEEDS: Final = {
    "runtime": "runtime_s",
    "samples_per_second": "examples_per_s",
    "steps_per_second": "steps_per_s",
    "tokens_per_second": "tokens_per_s",
    "jit_compilation_time": "jit_compilation_s",
    "model_preparation_time": "model_preparation_s",
}
_SPLITS: Final = {"train": "train", "eval": "val", "test": "test"}
_NAMED: Final = {
    "epoch": tags.EPOCH,
    "train_loss": "train/mean_loss",  # of the whole training, logged at its end; 'loss' is train/loss
    "total_flos": "perf/total_flops",
    "num_input_tokens_seen": "perf/tokens_seen",
}


def tag_of(name: str) -> str:
    """Return the uniform tag of a metric.

    >>> [tag_of(name) for name in ("loss", "eval_loss", "eval_runtime", "train_loss", "my/own")]
    ['train/loss', 'val/loss', 'perf/val_runtime_s', 'train/mean_loss', 'my/own']
    """
    if name in _NAMED:
        return _NAMED[name]
    prefix, _, rest = name.partition("_")
    if "/" in name or not rest or prefix not in _SPLITS:
        return tags.train(name)
    split = _SPLITS[prefix]
    for speed, unit in _SPEEDS.items():
        if rest.endswith(speed):
            return f"perf/{split}_{rest.removesuffix(speed)}{unit}"
    return f"{split}/{rest}"


def sort(logs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the numbers and the texts of what a Trainer logs, by tag."""
    texts = {tag_of(name): value for name, value in logs.items() if isinstance(value, str)}
    return {tag_of(name): value for name, value in logs.items() if not isinstance(value, str)}, texts

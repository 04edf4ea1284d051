"""Hyper-parameters: nested to flat, and the record that states their domains and the metrics to compare runs by.

TensorBoard infers domains and metrics from all runs. A record of its own (Experiment, plugins/hparams/api.proto) replaces what is
inferred, for all runs of the dashboard: what it does not name is hidden.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from multiboard import wire
from multiboard.arrays import framework_of
from multiboard.encode import hparam_value
from multiboard.errors import ArgumentError, ValueKindError, did_you_mean
from multiboard.values import Summary

HParam: TypeAlias = bool | float | str
Domain: TypeAlias = "tuple[float, float] | list[HParam]"

_STRING, _BOOL, _FLOAT64 = 1, 2, 3
"""DataType of api.proto."""
_PAIR: Final = 2
_DOMAIN_RULE: Final = (
    "a domain is a tuple (low, high) of two numbers or a list of values, of the type of the hyper-parameter, "
    "e.g. {'lr': (1e-5, 1e-1), 'optimizer': ['sgd', 'adam']}"
)
_METRICS_RULE: Final = "pass tags, e.g. ['val/accuracy'], or names by tag, e.g. {'val/accuracy': 'Accuracy'}"


def flatten(config: Mapping[str, Any]) -> dict[str, HParam]:
    """Return a nested mapping as one level, keys joined with '/'; None and sequences become strings.

    >>> flatten({"optimizer": {"lr": 0.1, "betas": (0.9, 0.99)}, "amp": True})
    {'optimizer/lr': 0.1, 'optimizer/betas': '(0.9, 0.99)', 'amp': True}
    """
    return {name: plain(value) for name, value in leaves(config)}


def take(config: object) -> dict[str, HParam]:
    """Return the hyper-parameters of a call.

    Raises:
        ValueKindError: they are no mapping.
    """
    if not isinstance(config, Mapping):
        raise ValueKindError("hparams", config, "hyper-parameters are a mapping of names to values.")
    return flatten(config)


@dataclass(frozen=True, slots=True)
class Experiment:
    """What a run states of hyper-parameters and metrics.

    Attributes:
        domains: by name of the hyper-parameter: an interval (low, high) or a list of values.
        metrics: display names by tag, '' for the tag itself.
    """

    domains: Mapping[str, Domain]
    metrics: Mapping[str, str]

    def summary(self, hparams: Mapping[str, HParam], wall_time: float) -> Summary:
        """Return the value that TensorBoard reads.

        Args:
            hparams: all of the run, because those that are not named would be hidden.
            wall_time: seconds since the epoch.
        """
        infos = [wire.message(4, *_info(name, value, self.domains.get(name))) for name, value in hparams.items()]
        metrics = [wire.message(5, *_metric(tag, name)) for tag, name in self.metrics.items()]
        tensor = wire.numbers(wire.DT_FLOAT, (0,), b"")
        return Summary(TAG, "hparams", wire.TENSOR, tensor, 0, wall_time, wire.message(2, *infos, *metrics))


TAG: Final = "_hparams_/experiment"


def take_experiment(hparams: Mapping[str, HParam], domains: object, metrics: object) -> Experiment | None:
    """Return what a call states of its hyper-parameters and metrics, None if it states nothing.

    Args:
        hparams: flat, as `take` returns them.
        domains: intervals (low, high) and lists of values by name, may be nested as the hyper-parameters.
        metrics: tags, or display names by tag.

    Raises:
        ArgumentError: a domain has another form or type, names no hyper-parameter, or comes without metrics.
    """
    if domains is None and metrics is None:
        return None
    if metrics is None:
        rule = "TensorBoard then shows the stated metrics only; state them too, e.g. metrics=['val/accuracy'], or [] for none"
        raise ArgumentError("domains", domains, rule)
    return Experiment(_take_domains(hparams, domains), _take_metrics(metrics))


def _take_domains(hparams: Mapping[str, HParam], domains: object) -> dict[str, Domain]:
    if domains is None:
        return {}
    if not isinstance(domains, Mapping):
        raise ArgumentError("domains", domains, _DOMAIN_RULE)
    taken: dict[str, Domain] = {}
    for name, stated in leaves(domains):
        if name not in hparams:
            hint = did_you_mean(name, hparams).removesuffix(".")
            raise ArgumentError("domains", name, f"this is no hyper-parameter of the call.{hint}".removesuffix("."))
        taken[name] = _take_domain(name, hparams[name], stated)
    return taken


def _take_domain(name: str, value: HParam, stated: object) -> Domain:
    values = [plain(item) for item in stated] if isinstance(stated, (tuple, list)) else []
    if not values or {*map(_type, values)} != {_type(value)}:
        raise ArgumentError("domains", {name: stated}, _DOMAIN_RULE)
    if isinstance(stated, list):
        return values
    numbers = [float(item) for item in values if _type(item) == _FLOAT64]
    if len(values) != _PAIR or len(numbers) != _PAIR or numbers[0] > numbers[1]:
        raise ArgumentError("domains", {name: stated}, _DOMAIN_RULE)
    return numbers[0], numbers[1]


def _take_metrics(metrics: object) -> dict[str, str]:
    if isinstance(metrics, str) or not isinstance(metrics, Iterable):
        raise ArgumentError("metrics", metrics, _METRICS_RULE)
    named = dict(metrics) if isinstance(metrics, Mapping) else dict.fromkeys(metrics, "")
    if not all(isinstance(tag, str) and tag and isinstance(name, str) for tag, name in named.items()):
        raise ArgumentError("metrics", metrics, _METRICS_RULE)
    return named


def _info(name: str, value: HParam, domain: Domain | None) -> Iterator[bytes]:
    """Yield the fields of a HParamInfo. A domain of several values marks it as one that differs, which puts it in front."""
    yield wire.message(1, name.encode())
    yield wire.integer(4, _type(value))
    if isinstance(domain, tuple):
        yield wire.message(6, wire.double(1, domain[0]), wire.double(2, domain[1]))
    elif domain:
        yield wire.message(5, *(wire.message(1, hparam_value(item)) for item in domain))
    if domain and len({*domain}) > 1:
        yield wire.integer(7, 1)


def _metric(tag: str, name: str) -> Iterator[bytes]:
    """Yield the fields of a MetricInfo."""
    yield wire.message(1, wire.message(2, tag.encode()))
    if name:
        yield wire.message(3, name.encode())


def leaves(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what a nested mapping holds, with keys joined by '/' behind the prefix."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{key}/")
        else:
            yield f"{prefix}{key}", value


def plain(value: Any) -> HParam:
    """Return a value as it is written: bools, numbers and strings as they are, all else as its string."""
    item = value.item() if framework_of(type(value)) == "numpy" and value.ndim == 0 else value
    return item if isinstance(item, (bool, int, float, str)) else str(item)


def _type(value: HParam) -> int:
    """Return the DataType that `encode.hparam_value` writes."""
    if isinstance(value, bool):
        return _BOOL
    return _FLOAT64 if isinstance(value, (int, float)) and abs(value) <= 2**53 else _STRING

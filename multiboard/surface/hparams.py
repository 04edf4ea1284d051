"""The hyper-parameters of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from multiboard.surface.base import Surface

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class HParamsSurface(Surface):
    """The method of `Run` for hyper-parameters."""

    def hparams(
        self,
        config: Mapping[str, Any],
        *,
        domains: Mapping[str, Any] | None = None,
        metrics: Iterable[str] | Mapping[str, str] | None = None,
    ) -> None:
        """Record the hyper-parameters of this run, once: TensorBoard reads one set per run.

        Without domains and metrics TensorBoard infers both from all runs. If one run states them, they are valid for all runs of
        the dashboard, and the HParams tab shows no other metrics, and no hyper-parameters that this run does not have: state them
        in runs that share their hyper-parameters, and the same in each.

        Args:
            config: may be nested (joined with '/'). Bools, numbers and strings keep their type; all else becomes a string.
            domains: the values that a hyper-parameter can take: a tuple (low, high) is an interval, a list holds all values, e.g.
                {'lr': (1e-5, 1e-1), 'optimizer': ['sgd', 'adam']}. Needs metrics.
            metrics: tags of the scalars to compare runs by, e.g. ['val/accuracy'], or their display names by tag.
        """
        self._intake.attempt(lambda: self._configure(config, domains, metrics), None)

    def _configure(self, config: object, domains: object, metrics: object) -> None:
        self._intake.check_open()
        self._session.configure(config, domains, metrics)

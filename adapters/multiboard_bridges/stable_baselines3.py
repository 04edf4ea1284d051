"""Stable-Baselines3: what its logger records goes into a run, by a callback or by an output format of the logger.

    import multiboard.stable_baselines3 as mbs
    model.learn(100_000, callback=mbs.Callback("runs/ppo"))

`configure` makes a logger that writes into a run, for `model.set_logger`.
"""

from __future__ import annotations

import inspect
import os
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Figure, HParam, Image, KVWriter, Logger, Video, make_output_format

from multiboard.arguments import check_given, check_log_dir, check_run
from multiboard.errors import ArgumentError
from multiboard.run import Run
from multiboard.trainers import log_each, reporting
from multiboard.writer.runs import open_run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Callback", "OutputFormat", "configure"]

_EXCLUDED: Final = frozenset({"tensorboard", "multiboard"})
"""Names in `Logger.record(..., exclude=...)` that keep a value out of the run."""
_NO_HYPER_PARAMETERS: Final = frozenset({"self", "env", "policy", "tensorboard_log", "verbose", "_init_setup_model"})
_PLAIN: Final = (bool, int, float, str)


class OutputFormat(KVWriter):
    """An output of the logger of Stable-Baselines3 that writes into a run.

    Numbers become scalars, texts texts, arrays and tensors of several elements histograms; `Image`, `Figure` and `Video` become
    what they are (a video needs Pillow), `HParam` the hyper-parameters of the run, if it has none. The metrics of an `HParam` are
    not stated: the HParams tab shows all scalars of the run. Names stay as they are ('rollout/ep_rew_mean'), and the step is the
    number of steps of the environment. What is excluded from 'tensorboard' or from 'multiboard' is left out. Nothing raises into
    a training.

    Args:
        run: an open run to write to; it stays open.

    Raises:
        ArgumentError: it is something else.
    """

    def __init__(self, run: Run) -> None:
        self.run = check_run(run)

    def write(self, key_values: Mapping[str, Any], key_excluded: Mapping[str, tuple[str, ...]], step: int = 0) -> None:
        """Log what was recorded; `Logger.dump` calls this."""
        with reporting("metrics", lambda: self.run):
            kept = {tag: value for tag, value in sorted(key_values.items()) if _EXCLUDED.isdisjoint(key_excluded.get(tag) or ())}
            numbers = {tag: value for tag, value in kept.items() if _is_number(value)}
            if numbers:
                log_each(self.run, numbers, step)
            for tag in [tag for tag in kept if tag not in numbers]:
                with reporting(f"value of {tag!r}", lambda: self.run):
                    self._write_other(tag, kept[tag], step)

    def _write_other(self, tag: str, value: Any, step: int) -> None:
        if isinstance(value, str):
            self.run.text(tag, value, step)
        elif isinstance(value, Image):
            self.run.image(tag, value.image, step, dataformats=value.dataformats)
        elif isinstance(value, Figure):
            self.run.figure(tag, value.figure, step, close=value.close)
        elif isinstance(value, Video):
            self.run.video(tag, value.frames, step, fps=value.fps, dataformats="NTCHW")
        elif isinstance(value, HParam):
            self.run.hparams(value.hparam_dict)
        else:
            self.run.histogram(tag, value, step)

    def close(self) -> None:
        """Write all that was logged; the run stays open, for its owner to close."""
        self.run.flush()


def configure(run: Run, formats: Iterable[str] = ("stdout",), folder: str | os.PathLike[str] | None = None) -> Logger:
    """Return a logger of Stable-Baselines3 that writes into a run, for `model.set_logger`.

    Args:
        run: an open run; it stays open.
        formats: of Stable-Baselines3 to write beside it: any of 'stdout', 'log', 'json' and 'csv'.
        folder: of the files of those formats; None is the run directory.

    Raises:
        ArgumentError: an argument is not one of the possible ones.
    """
    place = os.fspath(check_run(run).log_dir if folder is None else folder)
    known = ("stdout", "log", "json", "csv")
    chosen = [formats] if isinstance(formats, str) else list(formats)
    if wrong := [name for name in chosen if name not in known]:
        raise ArgumentError("formats", wrong[0], f"use any of {', '.join(map(repr, known))}")
    return Logger(place, [*(make_output_format(name, place) for name in chosen), OutputFormat(run)])


class Callback(BaseCallback):
    """Log a training with Stable-Baselines3, with the arguments of the algorithm as hyper-parameters, see `OutputFormat`.

    The run is opened at the start of `learn` and closed at its end. A further `learn(..., reset_num_timesteps=False)`, also of a
    model that was loaded, goes on behind what its directory holds.

    Args:
        log_dir: the run directory, without `run`.
        run: an open run to write to; it stays open, and has the hyper-parameters that `mb.Run(log_dir, config=...)` was given.
        config: further hyper-parameters, which replace those of the same name.
        verbose: as in Stable-Baselines3.

    Raises:
        ArgumentError: an argument is not one of the possible ones.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "runs/stable_baselines3",
        *,
        run: Run | None = None,
        config: Mapping[str, Any] | None = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(verbose)
        self._log_dir = os.fspath(check_log_dir(log_dir))
        self._given = check_given(run, config)
        self._config = dict(config or {})
        self._output: OutputFormat | None = None

    @property
    def run(self) -> Run | None:
        """The run, while it is open."""
        return self._given if self._output is None else self._output.run

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy for another process needs: the run stays here."""
        return self.__dict__ | {"_output": None}

    def _on_training_start(self) -> None:
        with reporting("run", lambda: self.run):
            self._let_go(success=False)  # a `learn` before this one ended in an exception
            done = self.model.num_timesteps
            run = self._given or (open_run(self._log_dir, first_step=done + 1, facts=True) if done else Run(self._log_dir))
            self._output = OutputFormat(run)
            self.logger.output_formats.append(self._output)
            if run is not self._given:
                run.hparams(hyper_parameters(self.model) | self._config)

    def _on_step(self) -> bool:
        return True

    def _on_training_end(self) -> None:
        with reporting("end of the run", lambda: self.run):
            self._let_go(success=True)

    def _let_go(self, *, success: bool) -> None:
        output, self._output = self._output, None
        if output is None:
            return
        if output in self.logger.output_formats:
            self.logger.output_formats.remove(output)
        if output.run is not self._given:
            output.run.close(success=success)


def hyper_parameters(model: Any) -> dict[str, Any]:
    """Return the arguments of an algorithm, as far as they are numbers, texts or schedules, of which the first value counts.

    The name of the environment is known if it runs in this process.

    Args:
        model: of Stable-Baselines3 or sb3-contrib.
    """
    found: dict[str, Any] = {"algorithm": type(model).__name__, "policy": type(model.policy).__name__}
    for name in inspect.signature(type(model).__init__).parameters:
        value = getattr(model, name, None)
        if name in _NO_HYPER_PARAMETERS or value is None:
            continue
        if callable(value) and name in {"learning_rate", "clip_range", "clip_range_vf"}:
            value = value(1.0)
        if isinstance(value, _PLAIN):
            found[name] = value
    environments = model.get_env()
    if environments is not None:
        found["environments"] = environments.num_envs
        # Those in processes of their own are not asked: one whose answer cannot be pickled ends with its process.
        own = getattr(environments.unwrapped, "envs", None) or [None]
        spec = getattr(own[0], "spec", None)
        found |= {} if spec is None else {"environment": str(spec.id)}
    return found


def _is_number(value: Any) -> bool:
    """Tell whether a value is one number; as for the logger's own formats a text is none."""
    if isinstance(value, (torch.Tensor, np.ndarray)):
        return value.ndim == 0
    return isinstance(value, (int, float, np.number, np.bool_))

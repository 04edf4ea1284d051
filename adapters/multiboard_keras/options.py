"""The arguments of the callback, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from multiboard import tags
from multiboard.arguments import check_choices, check_flag, check_log_dir, check_positive, check_run
from multiboard.errors import ArgumentError
from multiboard.exact import check_exact
from multiboard.profile.schedule import check_profile_batch
from multiboard.selection import Selection
from multiboard_keras.embeddings import Embeddings
from multiboard_keras.profile import check_one_window
from multiboard_keras.samples import Samples

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from multiboard.exact import Exact
    from multiboard.profile.profiler import Profiler
    from multiboard.run import Run
    from multiboard.selection import Chosen

UNIFORM: Final = "multiboard"
KERAS: Final = "keras"


@dataclass(frozen=True, slots=True)
class Options:
    """What is logged, and when.

    Attributes:
        run: the run that was given, which stays open.
        every: captures are taken at every step that this number divides; 0 takes none.
        histogram_freq: epochs from one capture to the next, or with the naming of Keras from one writing of weights; 0 for none.
        batches: metrics are logged at every n-th batch; 0 logs those of epochs only.
        groups: what a capture holds.
        selection: the layers whose outputs a capture holds; None for none.
        profiled: first and last batch of the profile, from 1; None for none.
        profiler: what the fit drives instead; None for none.
        embeddings_freq: embeddings are written at the end of every epoch that this number divides; 0 writes none.
        naming: 'multiboard' or 'keras'.
        exact: which tensors are kept element by element; None for none.
    """

    run: Run | None
    every: int
    histogram_freq: int
    batches: int
    groups: tuple[str, ...]
    selection: Selection | None
    graph: bool
    images: bool
    rate: bool
    profiled: tuple[int, int] | None
    profiler: Profiler | None
    embeddings_freq: int
    embeddings: Embeddings
    samples: Samples | None
    naming: str
    hparams: Mapping[str, Any] | None
    exact: Exact | None = None

    @property
    def in_keras(self) -> bool:
        """Whether runs, tags and steps are those of `keras.callbacks.TensorBoard`."""
        return self.naming == KERAS

    @property
    def capture_freq(self) -> int:
        """Every how many epochs a first step is captured; 0 for none."""
        return 0 if self.in_keras else self.histogram_freq

    @property
    def profiles(self) -> bool:
        """Whether a window of steps may be profiled."""
        return self.profiled is not None or self.profiler is not None

    @property
    def captures(self) -> bool:
        """Whether there are captures at all."""
        return bool((self.every or self.capture_freq) and (self.groups or self.selection is not None))


def check_options(  # the callback's own arguments
    log_dir: str | os.PathLike[str],
    histogram_freq: int,
    update_freq: str | int,
    embeddings_freq: int,
    *,
    write_graph: bool,
    write_images: bool,
    write_steps_per_second: bool,
    profile_batch: Any,
    profiler: Any,
    embeddings_metadata: Any,
    run: Run | None,
    every: int | None,
    log: Iterable[str],
    activations: Chosen | None,
    naming: str,
    hparams: Mapping[str, Any] | None,
    samples: Samples | None,
    exact: Any = None,
) -> Options:
    """Return the arguments as options.

    Raises:
        ArgumentError: an argument is not one of the possible ones.
    """
    check_log_dir(log_dir)
    if hparams is not None and not isinstance(hparams, Mapping):
        raise ArgumentError("hparams", hparams, "pass a mapping of names to values, e.g. {'lr': 1e-3}")
    if run is not None and hparams is not None:
        raise ArgumentError("hparams", hparams, "the run is open already: give them to mb.Run(log_dir, config=...)")
    if samples is not None and not isinstance(samples, Samples):
        raise ArgumentError("samples", samples, "pass a multiboard.keras.Samples(inputs, ...)")
    batches = check_profile_batch(profile_batch)
    return Options(
        run=None if run is None else check_run(run),
        every=0 if every is None else check_positive("every", every),
        histogram_freq=_check_freq("histogram_freq", histogram_freq),
        batches=_check_update_freq(update_freq),
        groups=check_choices("log", log, tags.GROUPS),
        selection=None if activations is None else Selection("activations", activations),
        graph=check_flag("write_graph", write_graph),
        images=check_flag("write_images", write_images),
        rate=check_flag("write_steps_per_second", write_steps_per_second),
        profiled=batches,
        profiler=check_one_window(profiler, batches),
        embeddings_freq=_check_freq("embeddings_freq", embeddings_freq),
        embeddings=Embeddings(embeddings_metadata),
        samples=samples,
        naming=check_choices("naming", [naming], (UNIFORM, KERAS))[0],
        hparams=hparams,
        exact=check_exact(exact, 0 if every is None else every),
    )


def _check_freq(name: str, freq: object) -> int:
    return 0 if freq == 0 and not isinstance(freq, bool) else check_positive(name, freq)


def _check_update_freq(update_freq: object) -> int:
    """Return every how many batches metrics are logged, 0 for epochs only."""
    if isinstance(update_freq, str):
        return {"epoch": 0, "batch": 1}[check_choices("update_freq", update_freq, ("epoch", "batch"))[0]]
    return check_positive("update_freq", update_freq)

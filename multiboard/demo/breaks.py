"""Classical mistakes of a port, which the demo makes on request in one framework."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from multiboard.demo.choices import Choices
from multiboard.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

_ALL: Final = ("flax", "torch", "keras")


class Break(NamedTuple):
    """A mistake.

    Attributes:
        text: what is done, for people.
        changes: to `Choices`.
        frameworks: that can make it, the default one first.
    """

    text: str
    changes: dict[str, Any]
    frameworks: tuple[str, ...] = _ALL


BREAKS: Final[dict[str, Break]] = {
    "norm-epsilon": Break("the layer norm has an epsilon of 1e-3 instead of 1e-5", {"norm_epsilon": 1e-3}),
    "batchnorm-momentum": Break("the batch norm keeps 0.1 of its statistics instead of 0.9", {"statistics_kept": 0.1}),
    "decay-norms": Break("norms and biases decay, too", {"decay_norms": True}),
    "init-gain": Break("the first dense layer starts with weights twice as large", {"gain": 2.0}),
    "gelu-tanh": Break("GELU is approximated with a tanh", {"tanh_gelu": True}),
    "transposed-kernel": Break("the square kernel of the second dense layer is transposed", {"transposed": True}),
    "missing-bias": Break("the last layer has no bias", {"output_bias": False}),
    "schedule-off-by-one": Break("the learning rate is that of the next step", {"schedule_offset": 1}),
    "loss-sum": Break("the loss is the sum over the batch instead of the mean", {"reduction": "sum"}),
    "dropout-in-eval": Break("dropout stays on in evaluation", {"dropout_in_evaluation": True}),
    "coupled-decay": Break(
        "weights decay through the gradient, as in Adam, not beside it", {"decoupled": False}, ("flax", "torch")
    ),
    "optimizer-epsilon": Break("the optimizer has an epsilon of 1e-3 instead of 1e-10", {"optimizer_epsilon": 1e-3}),
    "input-scale": Break("pixels go from 0 to 16 instead of from 0 to 1", {"pixel_scale": 16.0}),
    "shuffle": Break("the batches come in another order", {"shuffle": 1}),
    "padding": Break("the strided convolution is padded behind its input only", {"padding": (0, 1)}, ("flax", "keras")),
    "flatten-order": Break("images are flattened channels first", {"channels_first": True}),
}
"""By the name that `multiboard demo --break` takes."""


def place(name: str, frameworks: Sequence[str], wanted: str | None = None) -> str:
    """Return the framework in which a mistake is made.

    Args:
        name: of the mistake.
        frameworks: that are trained.
        wanted: the framework, if it is named.

    Raises:
        ArgumentError: there is no such mistake; or none of the frameworks can make it; or none is left to compare it with.
    """
    able = [one for one in _known(name).frameworks if one in frameworks]
    if wanted is not None and wanted not in able:
        raise ArgumentError("in", wanted, f"{name} can be made in {', '.join(able) or 'none of the frameworks that are trained'}")
    if not able or len(frameworks) < 2:  # noqa: PLR2004
        raise ArgumentError("break", name, "train two frameworks or more, one of which can make it: see --frameworks")
    return wanted or able[0]


def choices(name: str | None, framework: str) -> Choices:
    """Return the choices of a training with a mistake; None makes none.

    Raises:
        ArgumentError: there is no such mistake, or not in this framework.
    """
    if name is None:
        return Choices()
    mistake = _known(name)
    if framework not in mistake.frameworks:
        raise ArgumentError("break", name, f"it can be made in {' and '.join(mistake.frameworks)}, not in {framework}")
    return replace(Choices(), **mistake.changes)


def _known(name: str) -> Break:
    if name not in BREAKS:
        raise ArgumentError("break", name, f"the mistakes are {', '.join(BREAKS)}")
    return BREAKS[name]

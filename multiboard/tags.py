"""Tag grammar: what a tag is, how layers become tags, and one kind per tag.

The tags of all adapters are spelled here and nowhere else, so that three frameworks cannot drift apart:

    train/<metric>  val/<metric>                      scalars
    params/<layer>/<role>  grads/…  updates/…         histograms; the update is what is added to the parameter
    optimizer_state/<layer>/<role>/<name>             histogram, e.g. of second moments
    buffers/<layer>/<role>                            histogram, e.g. of running means
    activations/<layer>                               histogram, what the layer returns
    norm/<group>/<layer>/<role>  norm/<group>         scalars, per tensor and over the whole group
    nonfinite/<group>                                 scalar, values that are NaN or infinite over the whole group
    update_ratio/<layer>/<role>  update_ratio         scalars, norm of the update over norm of the parameter
    nonfinite/<group>/<layer>/<role>                  scalar, only for tensors and steps that have such values
    perf/step_ms  perf/first_step_ms                  scalars, wall time per update: on the host, or where it is known of those
                                                      that the device has finished
    perf/input_wait_ms  perf/input_share              scalars, waiting for data per update, and its share of the step time
    perf/examples_per_s  perf/steps_per_s             scalars, of this process
    system/gpu_<statistic>  system/gpu<i>_<statistic>  scalars, of the one device in use, or of each if there are several
    system/<statistic>                                scalars, of the machine and of this process, see `multiboard.system`
    train/grad_norm_before_clip  …_after_clip           scalars, over what was clipped together
    multiboard/errors                                 scalar, what went wrong in captures so far; only if something did
    multiboard/overhead                               scalar, share of the time that captures take
    multiboard/dropped/<kind>                         scalar, values that had to go so far; only if there are some
    multiboard/run_info                               own data: the table of the layers, see `multiboard.layer_rows`
    run/<fact>                                        hyper-parameter, a run fact
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from multiboard.errors import ArgumentError, TagError, TagKindError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

PARAMS: Final = "params"
GRADS: Final = "grads"
UPDATES: Final = "updates"
OPTIMIZER_STATE: Final = "optimizer_state"
BUFFERS: Final = "buffers"
GROUPS: Final = (PARAMS, GRADS, UPDATES, OPTIMIZER_STATE, BUFFERS)
"""What the `log` of a watch or of a wrapped step may name."""
TRAIN: Final = "train/"
VAL: Final = "val/"
UPDATE_RATIO: Final = "update_ratio"
ACTIVATIONS: Final = "activations"
GRADS_BEFORE_CLIP: Final = "train/grad_norm_before_clip"
GRADS_AFTER_CLIP: Final = "train/grad_norm_after_clip"
ERRORS: Final = "multiboard/errors"
OVERHEAD: Final = "multiboard/overhead"
LEARNING_RATE: Final = "train/learning_rate"
EPOCH: Final = "train/epoch"
STEP_MS: Final = "perf/step_ms"
FIRST_STEP_MS: Final = "perf/first_step_ms"
INPUT_WAIT_MS: Final = "perf/input_wait_ms"
INPUT_SHARE: Final = "perf/input_share"
EXAMPLES_PER_S: Final = "perf/examples_per_s"
STEPS_PER_S: Final = "perf/steps_per_s"
FACTS: Final = "run/"
RUN_INFO: Final = "multiboard/run_info"

GIVEN: Final = "as the optimizer gets it"
"""Whatever was done to a gradient before: accumulated, unscaled, clipped, averaged over processes."""
BEFORE_CLIPPING: Final = "before clipping"
"""The optimizer itself is going to clip it."""
AFTER_CLIPPING: Final = "after clipping"
MICRO_BATCH: Final = "of one micro-batch"
"""The optimizer is going to accumulate it with others."""
SCALED: Final = "scaled by the loss scale"
GRADIENT_STAGES: Final = (GIVEN, BEFORE_CLIPPING, AFTER_CLIPPING, MICRO_BATCH, SCALED)
"""Where in a training step a gradient is seen, in the words of all adapters."""

_ROLES: Final = {"weight": "kernel", "gamma": "scale", "beta": "bias", "embeddings": "embedding", "embedding_table": "embedding",
                 "moving_mean": "mean", "moving_variance": "var", "running_mean": "mean", "running_var": "var"}  # fmt: skip

_STATES: Final = {"exp_avg": "first_moment", "exp_avg_sq": "second_moment", "max_exp_avg_sq": "max_second_moment",
                  "square_avg": "second_moment", "momentum_buffer": "momentum",
                  "mu": "first_moment", "nu": "second_moment", "trace": "momentum",
                  "velocity": "second_moment", "velocity_hat": "max_second_moment",
                  "accumulated_grad": "second_moment"}  # fmt: skip


def state(native: str) -> str:
    """Return the name of a tensor of an optimizer's state by its native name.

    >>> state("exp_avg"), state("momentum_buffer"), state("prev")
    ('first_moment', 'momentum', 'prev')
    """
    return _STATES.get(native, native)


def update_ratio(path: str) -> str:
    """Return the tag of how large an update is beside its parameter, e.g. 'update_ratio/conv1/kernel'."""
    return f"update_ratio/{path}"


def norm(tag: str) -> str:
    """Return the tag of the L2 norm of a tensor or group, e.g. 'norm/grads/conv1/kernel'."""
    return f"norm/{tag}"


def nonfinite(tag: str) -> str:
    """Return the tag of the number of NaN and infinite values of a tensor or group."""
    return f"nonfinite/{tag}"


def dropped(kind: str) -> str:
    """Return the tag of the number of values of a kind that had to go so far."""
    return f"multiboard/dropped/{kind}"


def device(statistic: str, index: int | None = None) -> str:
    """Return the tag of a statistic of an accelerator; the index is for processes that use several.

    >>> device("memory_peak_mib"), device("memory_peak_mib", 3)
    ('system/gpu_memory_peak_mib', 'system/gpu3_memory_peak_mib')
    """
    return f"system/gpu{'' if index is None else index}_{statistic}"


def train(metric: str) -> str:
    """Return the tag of a training metric; a metric that already names its split keeps it."""
    return metric if "/" in metric else f"{TRAIN}{metric}"


def val(metric: str) -> str:
    """Return the tag of a validation metric, also for the spelling 'val_<metric>'."""
    return metric if "/" in metric else f"{VAL}{metric.removeprefix('val_')}"


def layer_path(native: str) -> str:
    """Return the canonical path of a native layer name: wrappers are cut and '.' becomes '/'.

    >>> layer_path("module._orig_mod.blocks.0.attn")
    'blocks/0/attn'
    """
    wrappers = {"module", "_orig_mod", "_fsdp_wrapped_module"}
    parts = native.replace(".", "/").split("/")
    while parts and parts[0] in wrappers:
        parts = parts[1:]
    return "/".join(part for part in parts if part and part not in {"_orig_mod", "_fsdp_wrapped_module"})


def role(native: str, *, norm_layer: bool = False, embedding_layer: bool = False) -> str:
    """Return the role of a parameter by its native name and the class of its layer.

    Args:
        native: the parameter's own name in its layer, e.g. 'weight', 'kernel', 'gamma'.
        norm_layer: the layer normalises, so that its weight is a scale.
        embedding_layer: the layer looks up rows, so that its weight is an embedding.

    >>> role("weight"), role("weight", norm_layer=True), role("weight", embedding_layer=True)
    ('kernel', 'scale', 'embedding')
    """
    if native == "weight" and norm_layer:
        return "scale"
    if native == "weight" and embedding_layer:
        return "embedding"
    return _ROLES.get(native, native)


def description(native: str, layer_class: str, stage: str = "") -> str:
    """Return the markdown that goes with a captured tensor: what it is called and what it belongs to at home.

    Args:
        native: the framework's own name, e.g. 'encoder.fc.weight'.
        layer_class: the class of its layer, e.g. 'Linear'.
        stage: where it was seen; of gradients what `gradient_stage` returns.

    >>> description("fc.weight", "Linear", "after clipping")
    '`fc.weight` of Linear, after clipping'
    """
    owner = f" of {layer_class}" if layer_class else ""
    return f"`{native}`{owner}{', ' + stage if stage else ''}"


_DESCRIBED: Final = re.compile(r"`([^`]*)`(?: of ([^,`]+))?")
_STAGE: Final = re.compile(rf", ((?:{'|'.join(map(re.escape, GRADIENT_STAGES))})(?: \((?!also `)[^)]*\))?)")


def described(text: str) -> tuple[str, str]:
    """Return the native name and the class of a layer that a description tells, '' for what it does not.

    >>> described("`block0.ln1.weight` of LayerNorm, after clipping")
    ('block0.ln1.weight', 'LayerNorm')
    """
    match = _DESCRIBED.match(text)
    return (match[1], match[2] or "") if match else ("", "")


def gradient_stage(stage: str, detail: str = "") -> str:
    """Return where a gradient is seen, for its description.

    Args:
        stage: one of `GRADIENT_STAGES`, perhaps with a detail in brackets.
        detail: what else is known, e.g. 'to a norm of 1'.

    Raises:
        ArgumentError: it is another stage.

    >>> gradient_stage(AFTER_CLIPPING, "to a norm of 1")
    'after clipping (to a norm of 1)'
    """
    name, bracket, rest = stage.partition(" (")
    if name not in GRADIENT_STAGES or bool(bracket) != rest.endswith(")"):
        hint = did_you_mean(name, GRADIENT_STAGES)
        remedy = (
            f"use one of {', '.join(map(repr, GRADIENT_STAGES))}, or one with a detail, e.g. 'after clipping (by value)'.{hint}"
        )
        raise ArgumentError("stage", stage, remedy.removesuffix("."))
    return f"{stage} ({detail})" if detail else stage


def stage_of(text: str) -> str:
    """Return where a gradient was seen according to its description, '' if that does not tell.

    >>> stage_of("`a.weight` of Linear, after clipping (to a norm of 1) (also `b.weight`); one in 2 values")
    'after clipping (to a norm of 1)'
    """
    match = _STAGE.search(text)
    return match[1] if match else text.partition(", ")[2]


def check_tag(tag: object) -> str:
    """Return the tag if it is a non-empty string that UTF-8 can hold.

    Raises:
        TagError: otherwise.
    """
    if not isinstance(tag, str) or not tag:
        raise TagError(tag)
    try:
        tag.encode()
    except UnicodeEncodeError as error:
        raise TagError(tag, f"tag {tag!r} cannot be written as UTF-8 ({error.reason}); remove the lone surrogate.") from error
    return tag


class TagKinds:
    """The kind of every tag of one run: TensorBoard keeps one kind per tag and drops the others."""

    def __init__(self) -> None:
        self._kinds: dict[str, str] = {}

    def claim(self, tag: object, kind: str) -> None:
        """Register that a tag has a kind; a second call with the same kind does nothing.

        Raises:
            TagError: the tag is not a non-empty string.
            TagKindError: the tag has another kind.
        """
        known = self._kinds.get(tag) if isinstance(tag, str) else None
        if known == kind:
            return
        name = check_tag(tag)
        if known is not None:
            raise TagKindError(name, kind, known)
        self._kinds[name] = kind

    @property
    def known(self) -> Mapping[str, str]:
        """The kind of each tag so far; grows with them."""
        return self._kinds

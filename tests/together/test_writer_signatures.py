"""The drop-in writers have every method and parameter of their peers, at the same position with the same default."""

import inspect
from functools import cache

import pytest

import multiboard as mb

KINDS = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)

ABSENT = {
    "add_onnx_graph.onnx_model_file": "the file is the first argument, named as in torch",
    "add_openvino_graph": "OpenVINO's intermediate format is no training framework's graph",
    "SummaryWriter.comet_config": "Comet is another tracker; its own client logs to it",
    "SummaryWriter.kwargs": "an unknown argument is an error instead of being swallowed",
    "GlobalSummaryWriter.kwargs": "an unknown argument is an error instead of being swallowed",
    "add_image_with_boxes.kwargs": "the keyword that tensorboardX takes there, rescale, is an argument of its own",
}
"""Methods and parameters of a peer that are missing here, with the reason."""

ATTRIBUTES = {
    "default_bins": "the buckets are the same for all histograms and no argument changes them",
    "kwargs": "an unknown argument is an error instead of being swallowed",
    "scalar_dict": "the values are in the file, and export_scalars_to_json reads them there",
    "lock": "the methods are safe in many threads",
    "scalar_tag_to_step": "one count for each tag, whatever its kind",
    "image_tag_to_step": "as scalar_tag_to_step",
    "text_tag_to_step": "as scalar_tag_to_step",
    "histogram_tag_to_step": "as scalar_tag_to_step",
    "audio_tag_to_step": "as scalar_tag_to_step",
}
"""Attributes of a peer's object that are missing here, with the reason; methods are in ABSENT."""

MOVED = {
    "tensorboardX SummaryWriter.logdir": "the first argument, as torch names it, takes the directory; logdir= works as a keyword",
    "tensorboardX SummaryWriter.log_dir": "stands first",
    "tensorboardX add_hparams.name": "the third argument is the name if it is a string",
    "tensorboardX add_hparams.global_step": "the fourth argument is the step if it is a number",
    "tensorboardX add_scalar.display_name": "the fifth argument is the name if it is a string",
    "tensorboardX add_scalar.summary_description": "the sixth argument is the description if it is a string",
    "tensorboardX add_image_with_boxes.dataformats": "the sixth argument is the format if it is a string",
    "tensorboardX add_image_with_boxes.labels": "the seventh argument are the labels if it is a list",
}
"""Parameters at another position than in a peer, with the reason."""


@cache
def peers():
    import tensorboardX
    from torch.utils import tensorboard

    return {
        "torch": (tensorboard.SummaryWriter, mb.SummaryWriter),
        "tensorboardX": (tensorboardX.SummaryWriter, mb.SummaryWriter),
        "tensorboardX global": (tensorboardX.GlobalSummaryWriter, mb.GlobalSummaryWriter),
    }


@cache
def methods(peer):
    """Name, the peer's method and ours, where both have it; the constructor is named like its class."""
    theirs, ours = peers()[peer]
    names = [name for name, member in vars(theirs).items() if callable(member) or isinstance(member, staticmethod)]
    public = [name for name in names if not name.startswith("_") and name not in ABSENT]
    pairs = {name: (getattr(theirs, name), getattr(ours, name, None)) for name in public}
    return pairs | {theirs.__name__: (theirs.__init__, ours.__init__)}


@cache
def parameters(peer):
    """The peer's parameter, ours or None, and where they stand, by 'method.parameter'."""
    found = {}
    for name, (theirs, ours) in methods(peer).items():
        expected, actual = (list(inspect.signature(m).parameters.values()) for m in (theirs, ours))
        for position, parameter in enumerate(expected):
            mine = next((p for p in actual if p.name == parameter.name), None)
            where = actual.index(mine) if mine in actual and mine.kind in KINDS else None
            found[f"{name}.{parameter.name}"] = (parameter, mine, position, where)
    return found


@pytest.mark.parametrize("peer", ["torch", "tensorboardX", "tensorboardX global"])
def test_every_method_exists(peer):
    assert [name for name, (_, ours) in methods(peer).items() if ours is None] == []


@pytest.mark.parametrize("peer", ["torch", "tensorboardX", "tensorboardX global"])
def test_every_parameter_exists(peer):
    assert [name for name, (_, ours, *_) in parameters(peer).items() if ours is None and name not in ABSENT] == []


@pytest.mark.parametrize("peer", ["torch", "tensorboardX", "tensorboardX global"])
def test_every_parameter_is_at_the_same_position(peer):
    moved = [
        name
        for name, (parameter, ours, position, where) in parameters(peer).items()
        if ours is not None and parameter.kind in KINDS and position != where
    ]
    assert [name for name in moved if f"{peer} {name}" not in MOVED] == []


@pytest.mark.parametrize("peer", ["torch", "tensorboardX", "tensorboardX global"])
def test_every_default_is_the_same(peer):
    other = {
        name: (parameter.default, ours.default)
        for name, (parameter, ours, *_) in parameters(peer).items()
        if ours is not None and parameter.default != ours.default
    }
    assert other == {}


def public(instance):
    return {name for name in dir(instance) if not name.startswith("_")}


@pytest.mark.filterwarnings("ignore:os.fork")  # tensorboardX's global writer forks, of which JAX warns if it is loaded
@pytest.mark.parametrize("peer", ["torch", "tensorboardX", "tensorboardX global"])
def test_every_attribute_exists(peer, tmp_path):
    theirs, ours = (cls(str(tmp_path / str(i))) for i, cls in enumerate(peers()[peer]))
    missing = public(theirs) - public(ours) - set(ATTRIBUTES) - set(ABSENT)
    missing |= public(theirs.file_writer) - public(ours.file_writer) - set(ABSENT)
    missing |= public(theirs.file_writer.event_writer) - public(ours.file_writer.event_writer)
    if peer != "tensorboardX global":
        theirs.close()
    ours.close()
    assert missing == set()
    assert not set(ATTRIBUTES) & public(ours)


def test_a_listed_gap_is_a_gap():
    """An entry that no longer holds is removed."""
    for name in ABSENT:
        method, _, parameter = name.partition(".")
        owner = mb.GlobalSummaryWriter if method.startswith("Global") else mb.SummaryWriter
        member = getattr(owner, method, None) if method.startswith("add_") else owner
        assert not member or parameter not in inspect.signature(member).parameters

"""One script of calls through the drop-in writer, torch's and tensorboardX's leaves the same tags, steps and values."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

import multiboard as mb

RNG = np.random.default_rng(0)
VALUES = [RNG.normal(size=1000).astype(np.float32) for _ in range(3)]
PICTURES = {"CHW": RNG.integers(0, 256, (3, 5, 7), np.uint8), "HWC": RNG.uniform(size=(5, 7, 3)), "HW": RNG.uniform(size=(5, 7))}
STEPS = [0, 5, 2, 2, 9]
COUNTS = [3, 0, 4, 1]
PEERS = ["torch", "tensorboardX"]

GAPS = {
    "text tags": "the peers write the text of a tag under '<tag>/text_summary'; here it is under the tag itself",
    "sub-runs": "the peers open a run for each series of add_scalars and for each add_hparams; here only if asked for",
    "pixels": "the peers cut fractions of a pixel off, here they are rounded: at most one of 255",
    "grey": "the peers write three equal channels, here one",
    "several pictures": "the peers tile the pictures of add_images into one; here they stay several",
}
"""Where the files differ on purpose, with the reason; the tests below name the entry that they allow for."""


def script(writer):
    for i, step in enumerate(STEPS):
        writer.add_scalar("number", i / 4, step, 100.0 + i)
    for step, value in {0: np.float64(0.25), 1: np.array(2), 2: torch.tensor(0.5), 3: torch.tensor([7]), 4: 1e30}.items():
        writer.add_scalar("forms", value, step)
    for value in [float("nan"), float("inf"), -float("inf")]:
        writer.add_scalar("odd", value, 0)
    for global_step in [3, np.int64(4), torch.tensor(5), "6", 7.0, None]:
        writer.add_scalar("steps", 1.0, global_step)
    for step, values in enumerate(VALUES):
        writer.add_histogram("values", values, step)
    writer.add_histogram("tensor", torch.ones(10), "3")
    writer.add_histogram_raw("raw", -1.0, 3.0, 8, 4.0, 9.0, [0.0, 1.0, 2.0, 3.0], COUNTS, 4)
    for dataformats, pixels in PICTURES.items():
        writer.add_image(f"picture/{dataformats}", pixels, 2, dataformats=dataformats)
    writer.add_images("pictures", np.stack([PICTURES["CHW"]] * 2), 3)
    writer.add_text("notes", "**bold**", 6)
    writer.add_scalars("group", {"a": 0.5, "b": 1.5}, 3)
    writer.add_hparams({"lr": 0.5, "name": "x", "amp": True}, {"hp/loss": 0.25}, global_step=8)


def opened(name, log_dir):
    if name == "torch":
        from torch.utils.tensorboard import SummaryWriter
    elif name == "tensorboardX":
        from tensorboardX import SummaryWriter
    else:
        SummaryWriter = mb.SummaryWriter  # noqa: N806
    return SummaryWriter(str(log_dir))


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What the files of each writer hold."""
    runs = {}
    for name in [*PEERS, "multiboard"]:
        log_dir = tmp_path_factory.mktemp(name)
        if name == "multiboard":
            with pytest.warns(mb.MultiboardWarning), opened(name, log_dir) as writer:  # 'odd' is not finite
                script(writer)
        else:
            with opened(name, log_dir) as writer:
                script(writer)
        runs[name] = mb.read(log_dir)
    return runs


def pixels(column):
    return np.asarray(Image.open(io.BytesIO(column.value[0][0])).convert("RGB")).astype(int)


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("tag", ["number", "forms", "odd", "steps"])
def test_scalars_have_the_same_steps_and_values(found, peer, tag):
    ours, theirs = found["multiboard"]["."].scalars[tag], found[peer]["."].scalars[tag]
    assert ours.step.tolist() == theirs.step.tolist()
    np.testing.assert_array_equal(ours.value, theirs.value)


@pytest.mark.parametrize("peer", PEERS)
def test_stated_wall_times_are_the_same(found, peer):
    ours, theirs = found["multiboard"]["."].scalars["number"], found[peer]["."].scalars["number"]
    assert ours.wall_time.tolist() == theirs.wall_time.tolist() == [100.0, 101.0, 102.0, 103.0, 104.0]


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("tag", ["values", "tensor"])
def test_histograms_have_the_same_steps_and_counts_below_any_edge(found, peer, tag):
    """The buckets differ, so cumulative counts are compared at our edges within one bucket of the peer."""
    ours, theirs = found["multiboard"]["."].histograms[tag], found[peer]["."].histograms[tag]
    assert ours.step.tolist() == theirs.step.tolist()
    for mine, other in zip(ours.value, theirs.value, strict=True):
        assert mine[:, 2].sum() == other[:, 2].sum()
        for edge in mine[:, 1]:
            below = mine[mine[:, 1] <= edge, 2].sum()
            surely, perhaps = other[other[:, 1] <= edge, 2].sum(), other[other[:, 0] <= edge, 2].sum()
            assert surely <= below <= perhaps


@pytest.mark.parametrize("peer", PEERS)
def test_raw_histograms_are_the_same_rows(found, peer):
    ours, theirs = found["multiboard"]["."].histograms["raw"], found[peer]["."].histograms["raw"]
    assert ours.step.tolist() == theirs.step.tolist() == [4]
    assert ours.value[0].tolist() == theirs.value[0].tolist()


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("dataformats", PICTURES)
def test_images_have_the_same_steps_and_pixels(found, peer, dataformats):
    """Gaps: pixels, grey."""
    ours, theirs = (found[name]["."].images[f"picture/{dataformats}"] for name in ("multiboard", peer))
    assert ours.step.tolist() == theirs.step.tolist() == [2]
    assert np.abs(pixels(ours) - pixels(theirs)).max() <= (0 if dataformats == "CHW" else 1)


@pytest.mark.parametrize("peer", PEERS)
def test_several_images_are_the_tiles_of_the_peers_picture(found, peer):
    """Gap: several pictures."""
    ours, theirs = (found[name]["."].images["pictures"] for name in ("multiboard", peer))
    assert ours.step.tolist() == theirs.step.tolist() == [3]
    tiles = [np.asarray(Image.open(io.BytesIO(data))) for data in ours.value[0]]
    assert len(tiles) == 2
    for tile in tiles:
        np.testing.assert_array_equal(tile.transpose(2, 0, 1), PICTURES["CHW"])


@pytest.mark.parametrize("peer", PEERS)
def test_texts_are_the_same(found, peer):
    """Gap: text tags."""
    ours, theirs = found["multiboard"]["."].texts["notes"], found[peer]["."].texts["notes/text_summary"]
    assert (ours.step.tolist(), ours.value) == (theirs.step.tolist(), theirs.value) == ([6], ["**bold**"])


@pytest.mark.parametrize("peer", PEERS)
def test_groups_of_scalars_are_the_same_numbers(found, peer):
    """Gap: sub-runs."""
    ours = found["multiboard"]["."].scalars
    for name in ("a", "b"):
        mine = ours[f"group/{name}"]
        theirs = found[peer][f"group_{name}" if peer == "torch" else f"group/{name}"].scalars["group"]
        assert (mine.step.tolist(), mine.value.tolist()) == (theirs.step.tolist(), theirs.value.tolist())


@pytest.mark.parametrize("peer", PEERS)
def test_hyper_parameters_are_the_same(found, peer):
    """Gap: sub-runs."""
    ours = found["multiboard"]["."]
    (theirs,) = [run for run in found[peer].values() if run.hparams]
    assert ours.hparams == theirs.hparams == {"lr": 0.5, "name": "x", "amp": True}
    assert ours.scalars["hp/loss"].step.tolist() == theirs.scalars["hp/loss"].step.tolist() == [8]
    assert ours.scalars["hp/loss"].value.tolist() == theirs.scalars["hp/loss"].value.tolist() == [0.25]


@pytest.mark.parametrize("peer", PEERS)
def test_no_tag_is_missing_and_only_stated_ones_are_added(found, peer):
    """Gaps: text tags, sub-runs. The count of non-finite numbers is ours alone."""
    ours, theirs = found["multiboard"]["."], found[peer]["."]
    assert set(ours.scalars) - set(theirs.scalars) == {"nonfinite/odd", "group/a", "group/b", "hp/loss"}
    assert set(theirs.scalars) <= set(ours.scalars)
    assert set(ours.histograms) == set(theirs.histograms)
    assert set(ours.images) == set(theirs.images)

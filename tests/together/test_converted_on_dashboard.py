"""TensorBoard shows a converted log as it shows the old one, with both loaders: the same runs, tags, steps, times and values."""

import numpy as np
import pytest
import torch

import multiboard as mb

PEERS = ["torch", "tensorboardX"]
VALUES = np.random.default_rng(0).normal(size=(3, 1000))


def opened(name, log_dir):
    if name == "torch":
        from torch.utils.tensorboard import SummaryWriter
    else:
        from tensorboardX import SummaryWriter
    return SummaryWriter(str(log_dir))


@pytest.fixture(scope="module", autouse=True)
def converted(own_board_dir):
    """Logs of both peers, and what became of them."""
    for name in PEERS:
        with opened(name, own_board_dir / f"old_{name}") as writer:
            for step in range(30):
                writer.add_scalar("loss", 1 / (step + 1), step, 1.7e9 + step)
                writer.add_scalar("odd", [1.0, float("nan"), float("inf")][step % 3], step, 1.7e9 + step)
                if step % 10 == 0:
                    writer.add_histogram("values", VALUES[step // 10], step, walltime=1.7e9 + step)
                    writer.add_image("picture", np.full((3, 4, 6), step * 8, np.uint8), step, 1.7e9 + step)
                    writer.add_text("notes", f"**step {step}**", step, 1.7e9 + step)
            writer.add_pr_curve("curve", np.array([0, 1, 1, 0]), np.array([0.1, 0.6, 0.8, 0.4]), 3)
            writer.add_mesh("mesh", torch.arange(9.0).reshape(1, 3, 3))
            writer.add_scalars("group", {"a": 1.0, "b": 2.0}, 0)
            writer.add_hparams({"lr": 0.25, "amp": True}, {"hp": 1.0})
        mb.convert(own_board_dir / f"old_{name}", own_board_dir / f"new_{name}")
        mb.convert(own_board_dir / f"old_{name}", own_board_dir / f"merged_{name}", merge_sub_runs=True)


def both(board, question, count):
    """Return the answers for the old and the new run of each peer when they have so many points."""
    return [
        [board.wait_for(lambda run=run: question(run), lambda points: len(points) == count) for run in (f"old_{n}", f"new_{n}")]
        for n in PEERS
    ]


@pytest.mark.parametrize("tag", ["loss", "odd"])
def test_curves_are_the_same_point_by_point(own_board, tag):
    for old, new in both(own_board, lambda run: own_board.scalars(run, tag), 30):
        assert old == new


def test_histograms_hold_every_value_between_the_same_extremes(own_board):
    def ask(run):
        return own_board.json("data/plugin/histograms/histograms", run=run, tag="values")

    for old, new in both(own_board, ask, 3):
        assert [point[:2] for point in old] == [point[:2] for point in new]
        for (_, _, rows), values in zip(new, VALUES, strict=True):
            assert sum(row[2] for row in rows) == len(values)
            assert (rows[0][0], rows[-1][1]) == (values.min(), values.max())
            assert all(left <= right for left, right, _ in rows)


def test_pictures_are_the_same_bytes(own_board):
    def ask(run):
        found = own_board.json("data/plugin/images/images", run=run, tag="picture", sample=0)
        pictures = [own_board.bytes(f"data/plugin/images/individualImage?{one['query']}") for one in found]
        return [(one["step"], one["wall_time"], *picture) for one, picture in zip(found, pictures, strict=True)]

    for old, new in both(own_board, ask, 3):
        assert old == new


def test_texts_are_shown_at_their_steps(own_board):
    def ask(run):
        return own_board.json("data/plugin/text/text", run=run, tag="notes/text_summary")

    for old, new in both(own_board, ask, 3):
        assert [(p["step"], p["wall_time"]) for p in old] == [(p["step"], p["wall_time"]) for p in new]
        assert all(f"<strong>step {p['step']}</strong>" in p["text"] for p in new)


def test_curves_of_precision_are_the_same(own_board):
    def ask(run):
        return own_board.json("data/plugin/pr_curves/pr_curves", run=run, tag="curve")[run]

    for old, new in both(own_board, ask, 1):
        assert old == new


def test_meshes_have_the_same_parts(own_board):
    def ask(run):
        return [one["content_type"] for one in own_board.json("data/plugin/mesh/meshes", run=run, tag="mesh")]

    for old, new in both(own_board, ask, 1):
        assert old == new


def test_every_run_has_its_row_of_hyper_parameters(own_board):
    _, rows = own_board.wait_for(own_board.hparams, lambda answer: len(answer[1]) == 6)
    for name in PEERS:
        (run,) = (run for run in rows if run.startswith(f"new_{name}/"))
        assert rows[run]["hparams"]["lr"] == 0.25
        assert rows[f"merged_{name}"]["hparams"]["lr"] == 0.25


def test_merged_series_are_tags_of_the_run(own_board):
    for name in PEERS:
        for series, value in {"a": 1.0, "b": 2.0}.items():
            points = own_board.wait_for(lambda s=series, n=name: own_board.scalars(f"merged_{n}", f"group/{s}"), bool)
            assert [point[1:] for point in points] == [[0, value]]
    merged = [run for run in own_board.json("data/runs") if run.startswith("merged")]
    assert sorted(merged) == sorted(f"merged_{name}" for name in PEERS)

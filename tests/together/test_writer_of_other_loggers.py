"""What Lightning and Stable-Baselines3 do inside a writer of torch works with the drop-in writer."""

import pytest

import multiboard as mb


@pytest.fixture(scope="module")
def written(board_dir):
    """A run with hyper-parameters as Lightning writes them: summaries of torch, and metrics beside them.

    The first of torch's three summaries is left out: it would hide the metrics of all other runs of the shared directory.
    """
    from torch.utils.tensorboard.summary import hparams

    writer = mb.SummaryWriter(log_dir=str(board_dir / "lightning"))
    for summary in hparams({"lr": 0.25, "name": "first"}, {"hp_metric": -1})[1:]:
        writer._get_file_writer().add_summary(summary)
    for step in range(3):
        writer.add_scalar("hp_metric", float(step), step)
    writer.flush()
    writer.close()
    with pytest.warns(mb.MultiboardWarning, match="used after close"):  # trainer.test() after trainer.fit()
        writer.add_scalar("hp_metric", 3.0, 3)
    writer.close()
    return "lightning"


def test_hyper_parameters_of_finished_summaries_are_a_row_of_the_table(board, written):
    _, rows = board.wait_for(board.hparams, lambda answer: written in answer[1])
    assert rows[written]["hparams"] == {"lr": 0.25, "name": "first"}


def test_what_is_logged_after_close_follows_what_was_before(board, written):
    points = board.wait_for(lambda: board.scalars(written, "hp_metric"), lambda points: len(points) == 4)
    assert [value for *_, value in points] == [0.0, 1.0, 2.0, 3.0]

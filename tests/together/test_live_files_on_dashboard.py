"""Where several files of a run are being written, TensorBoard shows all of them with what `multiboard serve` passes then."""

import pytest

import multiboard as mb
from multiboard.live_files import several_live_files


@pytest.mark.filterwarnings("ignore:.*is being written, too")
def test_two_writers_of_one_run_are_shown_while_they_write(tmp_path, serving):
    log_dir = tmp_path / "runs" / "job"
    tmp_path.joinpath("outputs").mkdir()
    with mb.Run(log_dir, resume="add") as first, mb.Run(log_dir, resume="add") as second:
        assert several_live_files(log_dir.parent)
        options = {"tensorflow": False, "more": ["--reload_multifile=true"]}
        with serving(log_dir.parent, tmp_path / "outputs", **options) as boards:
            for begin in (0, 20):  # without the option the Python loader leaves the first file when it has read the second one
                for step in range(begin, begin + 20):
                    first.log({"a": float(step)}, step)
                    second.log({"b": float(step)}, step)
                assert first.flush()
                assert second.flush()
                for board in boards.values():
                    for tag in "ab":
                        board.wait_for(lambda: board.scalars("job", tag), lambda shown: len(shown) == begin + 20)  # noqa: B023

"""Files that appear when they are whole."""

import os

import pytest

from multiboard.whole_files import whole_file


def test_what_a_killed_process_of_the_same_number_has_left_is_no_obstacle(tmp_path, monkeypatch):
    monkeypatch.setattr("pathlib.Path.unlink", lambda *_, **__: None)
    with pytest.raises(InterruptedError), whole_file(tmp_path / "page.html") as file:
        file.write(b"half")
        raise InterruptedError
    with whole_file(tmp_path / "page.html") as file:
        file.write(b"whole")
    assert (tmp_path / "page.html").read_bytes() == b"whole"


def test_a_name_may_be_as_long_as_the_file_system_takes(tmp_path):
    path = tmp_path / f"{'x' * (os.pathconf(tmp_path, 'PC_NAME_MAX') - 5)}.html"
    with whole_file(path) as file:
        file.write(b"whole")
    assert [one.name for one in tmp_path.iterdir()] == [path.name]

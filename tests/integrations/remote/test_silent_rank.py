"""A silent rank of a run on a URL opens no store and no spool, and does not make up where the run goes on."""

import pytest

import multiboard as mb


@pytest.fixture(autouse=True)
def second_rank(monkeypatch, tmp_path):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("MULTIBOARD_SPOOL", str(tmp_path / "spool"))
    monkeypatch.chdir(tmp_path)


def test_it_writes_nothing_anywhere(tmp_path):
    with mb.Run("memory://runs/first", config={"lr": 0.1}) as run:
        run.log({"x": 1.0}, 0)
        assert not run.writes
        assert run.log_dir.startswith(str(tmp_path / "spool"))
    assert list(tmp_path.iterdir()) == []


def test_it_says_that_rank_0_alone_knows_where_the_run_goes_on():
    with pytest.warns(mb.MultiboardWarning, match=r"known to rank 0 alone: send run\.start_step") as said:
        run = mb.Run("s3://key:secret@bucket/runs", resume=True)
    assert "secret" not in str(said[0].message)
    assert run.start_step == 0
    run.close()


def test_each_rank_can_upload_a_run_of_its_own():
    with mb.Run("memory://runs/each", per_rank=True, facts=False) as run:
        run.log({"x": 1.0}, 0)
        assert run.url == "memory://runs/each/rank_00001"
    assert mb.read("memory://runs/each")["rank_00001"].scalars["x"].value.tolist() == [1.0]

"""In a job of several processes each one profiles itself, and the session shows them side by side."""

import pytest

from multiboard.profile.xspace import HOST_PLANE, find_plane, read_space, stats_of

RANK = """
torch.manual_seed(0)
model = nn.parallel.DistributedDataParallel(nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3)))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
profiler = mb.Profiler(run or log_dir, start=2, steps=3, convert="now")
watching = mbt.watch(model, optimizer, run, profiler=profiler)
for step in range(6):
    model(torch.randn(4, 5)).square().mean().backward()
    optimizer.step()
watching.remove()
profiler.close()
"""


@pytest.mark.parametrize("run", ["mb.Run(log_dir)", "mb.Run(log_dir) if rank == 0 else None"])
def test_every_rank_writes_its_file_into_one_session(run, ranks, log_dir):
    ranks(RANK, run=run)
    files = sorted(log_dir.glob("plugins/profile/step_000002/*.xplane.pb"))
    assert [file.name for file in files] == ["rank0.xplane.pb", "rank1.xplane.pb"]
    for file in files:
        plane = find_plane(read_space(file), HOST_PLANE)
        found = [stats_of(event, plane).get("tf_op") for line in plane.lines for event in line.events]
        assert found.count("0/linear:linear") == 3

"""Whatever a profile holds, it is completed, merged and summed up without an exception."""

import random

import pytest

from multiboard.errors import ProfileReadError
from multiboard.profile import enrich_jax, enrich_tensorflow
from multiboard.profile.kineto import convert
from multiboard.profile.merge import merge
from multiboard.profile.summary import Summary, summarize
from multiboard.profile.xspace import XSpace, read_space

EXTREMES = (0, 1, -1, 2**62, -(2**63), 2**63 - 1)
FACTS = {"roots": ["CNN"], "layers": ["conv"], "memory": {"system/gpu_memory_peak_mib": 1.0}}


@pytest.fixture
def profile(kineto_traces):
    return convert(kineto_traces.cuda(steps=2).json())


def damage(space, rng):
    """Change some fields of some events."""
    for _ in range(40):
        plane = rng.choice([plane for plane in space.planes if plane.lines])
        line = rng.choice(plane.lines)
        event = rng.choice(line.events)
        stat = rng.choice(event.stats) if event.stats else event.stats.add()
        owner, field = rng.choice(
            [(event, "metadata_id"), (event, "offset_ps"), (event, "duration_ps"), (line, "timestamp_ns"), (stat, "int64_value")]
        )
        setattr(owner, field, rng.choice(EXTREMES))
        stat.metadata_id = rng.choice(list(plane.stat_metadata))
        other = event.stats.add(metadata_id=rng.choice(list(plane.stat_metadata)))
        field, value = rng.choice([("double_value", float("nan")), ("str_value", "x"), ("bytes_value", b"\xff")])
        setattr(other, field, value)


@pytest.mark.parametrize("seed", range(40))
def test_damaged_events_are_no_exception(profile, seed):
    space = XSpace()
    space.CopyFrom(profile)
    damage(space, random.Random(seed))  # noqa: S311
    for enrich in (enrich_jax.enrich, enrich_tensorflow.enrich):
        enrich(space, FACTS)
    merge(space, profile, "torch")
    merge(profile, space, "torch")
    summary = summarize(space)
    assert Summary.from_json(summary.to_json()) == summary
    assert summary.texts()


def test_a_file_that_is_cut_off_is_refused_and_not_half_read(profile, tmp_path):
    content = profile.SerializeToString()
    path = tmp_path / "host.xplane.pb"
    for size in (len(content) - 1, len(content) // 2):
        path.write_bytes(content[:size])
        with pytest.raises(ProfileReadError):
            read_space(path)
    path.write_bytes(b"")
    assert summarize(read_space(path)).notes

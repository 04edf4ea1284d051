"""Old logs become runs of multiboard elsewhere: every point, in order, at its step and time; the old directory is only read."""

import hashlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import multiboard as mb
from multiboard import proto, wire
from multiboard.encode import file_version, session_start
from multiboard.merged_files import note
from multiboard.records import frame, unframe

OLD = "events.out.tfevents.1700000000.host"


def scalar(tag, number, step, time=1.7e9):
    made = proto.Event(wall_time=time + step, step=step)
    made.summary.value.add(tag=tag).simple_value = number
    return made.SerializeToString()


def double(tag, number, step):
    made = proto.Event(wall_time=float(step), step=step)
    value = made.summary.value.add(tag=tag)
    value.tensor.dtype = wire.DT_DOUBLE
    value.tensor.double_val.append(number)
    value.metadata.plugin_data.plugin_name = "scalars"
    return made.SerializeToString()


def histogram(tag, step):
    made = proto.Event(wall_time=float(step), step=step)
    histo = made.summary.value.add(tag=tag).histo
    histo.bucket_limit.extend([0.0, 1.0])
    histo.bucket.extend([0.0, step + 1.0])
    histo.max = 1.0
    return made.SerializeToString()


def write(directory, *payloads, name=OLD):
    directory.mkdir(parents=True, exist_ok=True)
    version = proto.Event(wall_time=1.7e9, file_version="brain.Event:2").SerializeToString()
    (directory / name).write_bytes(b"".join(frame(payload) for payload in (version, *payloads)))


def payloads(directory, name=OLD):
    return list(unframe((directory / name).read_bytes(), []))


def fingerprints(directory):
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.rglob("*") if path.is_file()}


@pytest.fixture
def old(tmp_path):
    return tmp_path / "old"


@pytest.fixture
def new(tmp_path):
    return tmp_path / "new"


def test_every_run_keeps_its_path_and_every_file_its_name(old, new):
    for name in (".", "a", "b/c"):
        write(old / name, scalar("x", 1.0, 0))
    before = fingerprints(old)
    report = mb.convert(old, new)
    assert list(report.runs) == list(mb.read(new)) == [".", "a", "b/c"]
    assert [run.files for run in report.runs.values()] == [[OLD]] * 3
    assert fingerprints(old) == before


def test_a_file_begins_as_all_files_of_multiboard_do(old, new):
    write(old, scalar("x", 1.0, 0))
    write(old, scalar("x", 2.0, 1), name=f"{OLD}2")
    mb.convert(old, new)
    assert payloads(new)[:2] == [file_version(1.7e9), session_start(1.7e9, 0)]
    assert payloads(new, f"{OLD}2")[0] == file_version(1.7e9)
    assert len(payloads(new, f"{OLD}2")) == 2


def test_a_start_that_the_log_has_stays_and_gets_no_second_one(old, new):
    write(old, session_start(1.7e9, 5), scalar("x", 1.0, 5))
    mb.convert(old, new)
    assert payloads(new)[1] == session_start(1.7e9, 5)
    assert len(payloads(new)) == 3


def test_a_thousand_scalars_are_described_once_per_tag(old, new):
    write(old, *(scalar(f"x{i % 3}", float(i), i) for i in range(1000)))
    report = mb.convert(old, new)
    assert sum(b"scalars" in payload for payload in payloads(new)) == 3
    assert report.runs["."].values == {"scalar": 1000}
    assert report.runs["."].events == len(payloads(new)) - 2 == 1000


points = st.tuples(
    st.sampled_from(["a", "b", "c/d"]),
    st.sampled_from(["simple", "double", "histogram"]),
    st.integers(0, 2**50) | st.integers(-(2**63), 2**63 - 1) | st.integers(0, 200),
    st.floats(width=32) | st.floats(),
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(points, max_size=40), st.integers(0, 30))
def test_every_point_is_there_whichever_way_it_was_read(tmp_path_factory, parts, repeated):
    directory = tmp_path_factory.mktemp("convert")
    written, kinds, expected = [], {}, {}
    for tag, form, step, number in [*parts, *parts[:2] * repeated]:
        kind = "histogram" if form == "histogram" else "scalar"
        name = tag if kinds.setdefault(tag, kind) == kind else f"{tag}/{kind}"
        if form == "histogram":
            step = abs(step) % 100  # noqa: PLW2901
            written.append(histogram(tag, step))
        else:
            with np.errstate(over="ignore"):
                number = float(np.float32(number)) if form == "simple" else number  # noqa: PLW2901
                written.append(scalar(tag, number, step) if form == "simple" else double(tag, number, step))
                number = float(np.float32(number))  # noqa: PLW2901
        expected.setdefault(name, []).append((step, step + 1.0 if form == "histogram" else number))
    write(directory / "old", *written)
    report = mb.convert(directory / "old", directory / "new").runs["."]
    assert not report.damage
    run = mb.read(directory / "new")["."]
    found = {tag: list(zip(c.step.tolist(), c.value.tolist(), strict=True)) for tag, c in run.scalars.items()}
    found |= {tag: [(s, v[0, 2]) for s, v in zip(c.step.tolist(), c.value, strict=True)] for tag, c in run.histograms.items()}
    np.testing.assert_equal(found, expected)
    times = {tag: c.wall_time.tolist() for tag, c in mb.read(directory / "old")["."].scalars.items() if kinds[tag] == "scalar"}
    assert {tag: run.scalars[tag].wall_time.tolist() for tag in times} == times


def test_records_stay_in_their_order(old, new):
    written = [scalar("x", 1.0, i) if i % 3 else histogram("h", i) for i in range(400)]
    write(old, *written)
    mb.convert(old, new)
    assert [proto.Event.FromString(payload).step for payload in payloads(new)[2:]] == list(range(400))


def test_a_file_in_several_parts_is_the_same_as_one_in_one_part(old, new, tmp_path, monkeypatch):
    from multiboard import converted_file

    write(old, *(scalar(f"x{i % 5}", i, i) if i % 7 else histogram("h", i) for i in range(2000)))
    mb.convert(old, new)
    monkeypatch.setattr(converted_file, "_RECORDS", 37)
    mb.convert(old, tmp_path / "parts")
    assert payloads(tmp_path / "parts") == payloads(new)


def test_many_scalars_of_one_event_stay_together(old, new):
    written = []
    for step in range(50):
        made = proto.Event(wall_time=float(step), step=step)
        for tag in "abc":
            made.summary.value.add(tag=tag).simple_value = step
        written.append(made.SerializeToString())
    write(old, *written)
    mb.convert(old, new)
    assert all(len(proto.Event.FromString(payload).summary.value) == 3 for payload in payloads(new)[2:])
    assert mb.convert(old, new / "again").runs["."].values == {"scalar": 150}


def test_doubles_beyond_float32_become_infinite_and_are_counted(old, new):
    write(old, *(double("x", 1e300 if i % 2 else 0.1, i) for i in range(100)))
    report = mb.convert(old, new)
    assert np.isinf(mb.read(new)["."].scalars["x"].value).tolist() == [bool(i % 2) for i in range(100)]
    assert dict(report.runs["."].notes) == {
        "tag 'x' has numbers that float32 cannot hold; they are written as infinite.": 50,
        "tag 'x' has numbers of higher precision than float32, to which they are rounded.": 50,
    }


def test_damage_is_left_out_and_told(old, new):
    write(old, *(scalar("x", float(i), i) for i in range(100)))
    data = bytearray((old / OLD).read_bytes())
    size = len(frame(scalar("x", 1.0, 1)))
    data[-2 * size - 6] ^= 0xFF
    (old / OLD).write_bytes(bytes(data[:-3]))
    run = mb.convert(old, new).runs["."]
    assert [place.torn for place in run.damage[OLD]] == [False, True]
    assert mb.read(new)["."].scalars["x"].step.tolist() == [*range(97), 98]
    assert mb.read(new)["."].damage == {}


def test_an_empty_file_becomes_one_without_events(old, new):
    old.mkdir()
    (old / OLD).write_bytes(b"")
    assert mb.convert(old, new).runs["."].events == 0
    assert mb.read(new)["."].damage == {}


def test_a_directory_that_holds_event_files_is_refused(old, new):
    write(old, scalar("x", 1.0, 0))
    write(new / "sub", scalar("x", 1.0, 0))
    with pytest.raises(mb.ArgumentError, match="holds event files already"):
        mb.convert(old, new)
    with pytest.raises(mb.ArgumentError, match="lies within"):
        mb.convert(old, old / "new")
    with pytest.raises(mb.ArgumentError, match=r"'out'.*no directory"):
        mb.convert(old, new / "sub" / OLD)
    with pytest.raises(mb.ArgumentError, match=r"s3://\*\*\*@bucket"):
        mb.convert(old, "s3://key:secret@bucket/new")
    with pytest.raises(mb.ReadError):
        mb.convert(new / "nothing", old)


def test_a_file_that_cannot_be_written_leaves_no_part(old, new, monkeypatch):
    from multiboard.converted_file import FileConverter

    def records(*_, **__):
        yield b"part"
        raise OSError(28, "No space left on device")

    write(old, scalar("x", 1.0, 0))
    monkeypatch.setattr(FileConverter, "records", records)
    with pytest.raises(OSError, match="No space"):
        mb.convert(old, new)
    assert list(new.iterdir()) == []


def test_files_that_tensorboard_reads_beside_events_are_copied(old, new):
    write(old, scalar("x", 1.0, 0))
    (old / "00000" / "default").mkdir(parents=True)
    (old / "00000" / "default" / "tensors.tsv").write_text("1\t2\n")
    (old / "00000" / "default" / "unused.tsv").write_text("1\t2\n")
    (old / "projector_config.pbtxt").write_text(
        'embeddings {\n  tensor_path: "00000/default/tensors.tsv"\n  metadata_path: "../secret"\n}\n'
    )
    (old.parent / "secret").write_text("no")
    (old / "plugins" / "profile" / "1").mkdir(parents=True)
    (old / "plugins" / "profile" / "1" / "host.xplane.pb").write_bytes(b"trace")
    (old / "model.pt").write_bytes(b"weights")
    run = mb.convert(old, new).runs["."]
    assert run.copied == ["00000/default/tensors.tsv", "plugins/profile/1/host.xplane.pb", "projector_config.pbtxt"]
    assert run.left == 1
    assert (new / "plugins" / "profile" / "1" / "host.xplane.pb").read_bytes() == b"trace"


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, ".", "", "loop", OLD, "/etc/hostname"])
def test_a_config_that_names_no_file_of_the_projector_copies_none(old, new, name):
    write(old, scalar("x", 1.0, 0))
    (old / "loop").symlink_to("loop")
    (old / "projector_config.pbtxt").write_text(f'embeddings {{ tensor_path: "{name}" }}')
    assert mb.convert(old, new).runs["."].copied == ["projector_config.pbtxt"]
    assert payloads(new)[2:] != payloads(old)[1:]


def test_files_that_a_later_one_replaces_are_left_out(old, new):
    write(old, scalar("x", 1.0, 0))
    start = wire.message(7, wire.integer(1, 1), wire.message(3, note({OLD: (old / OLD).stat().st_size})))
    write(old, wire.event(1.7e9, 0, start), scalar("x", 1.0, 0), scalar("x", 2.0, 1), name=f"{OLD}.whole")
    assert mb.convert(old, new).runs["."].files == [f"{OLD}.whole"]
    assert mb.read(new)["."].scalars["x"].step.tolist() == [0, 1]


def test_a_run_of_multiboard_is_converted_to_itself(old, new):
    with mb.Run(old, config={"lr": 0.1}) as run:
        for step in range(100):
            run.log({"a": float(step), "b": 1.0}, step)
            if step % 10 == 0:
                run.histogram("h", [1.0, 2.0], step)
    mb.convert(old, new)
    (file,) = old.iterdir()
    assert {wire_free(p) for p in payloads(new, file.name)} == {wire_free(p) for p in payloads(old, file.name)}
    before, after = mb.read(old)["."], mb.read(new)["."]
    assert after.hparams == before.hparams == {"lr": 0.1}
    assert after.facts == before.facts


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_a_damaged_log_stops_no_conversion_and_invents_no_number(tmp_path_factory, data):
    directory = tmp_path_factory.mktemp("damaged")
    written = [scalar(f"x{i % 2}", float(i), i) if i % 4 else histogram("h", i) for i in range(40)]
    pictures = proto.Event(wall_time=1.0)
    for sample in range(2):
        pictures.summary.value.add(tag=f"p/image/{sample}").image.encoded = b"png"
    write(directory / "old", *written, pictures.SerializeToString())
    damaged = bytearray((directory / "old" / OLD).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        damaged[place] = data.draw(st.integers(0, 255))
    (directory / "old" / OLD).write_bytes(bytes(damaged))
    mb.convert(directory / "old", directory / "new")
    run = mb.read(directory / "new")["."]
    assert run.damage == {}
    for column in run.scalars.values():
        assert column.value.tolist() == column.step.tolist()


def test_an_event_with_a_part_that_is_no_message_is_left_out(tmp_path):
    broken = scalar("x", 1.0, 1) + wire.message(7, b"\xff")  # a session log
    write(tmp_path / "old", scalar("x", 0.0, 0), broken, scalar("x", 2.0, 2))
    mb.convert(tmp_path / "old", tmp_path / "new")
    assert [proto.Event.FromString(payload).step for payload in payloads(tmp_path / "new")][-1] == 2
    assert mb.read(tmp_path / "new")["."].scalars["x"].step.tolist() == [0, 2]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_bytes_that_pass_for_records_stop_no_conversion(tmp_path_factory, data):
    """Checksums that are right around messages that are wrong."""
    directory = tmp_path_factory.mktemp("hostile")
    pictures = proto.Event(wall_time=1.0)
    for sample in range(2):
        pictures.summary.value.add(tag=f"p/image/{sample}").image.encoded = b"png"
    sound = [scalar("x", 1.0, 1), double("d", 0.5, 2), histogram("h", 3), pictures.SerializeToString()]
    written = []
    for payload in sound:
        changed = bytearray(payload)
        for _ in range(data.draw(st.integers(0, 3))):
            changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
        written += [bytes(changed)] * data.draw(st.integers(1, 5))
    write(directory / "old", *written)
    mb.convert(directory / "old", directory / "new")
    for payload in payloads(directory / "new"):
        proto.Event.FromString(payload)


def wire_free(payload):
    """Return an event in one spelling: steps may be padded."""
    return proto.Event.FromString(payload).SerializeToString(deterministic=True)

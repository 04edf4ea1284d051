"""The messages of profiles against those of TensorFlow and the reader of JAX."""

import jax.profiler
import pytest
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from multiboard.profile import messages
from multiboard.profile.kineto import convert
from multiboard.profile.xspace import XSpace

NAMES = ["XSpace", "XPlane", "XLine", "XEvent", "XStat", "XEventMetadata", "XStatMetadata"]


@pytest.mark.parametrize("name", NAMES)
def test_a_message_has_the_fields_of_tensorflow(name):
    ours, theirs = getattr(messages, name).DESCRIPTOR, getattr(xplane_pb2, name).DESCRIPTOR

    def fields(message):
        return {
            (field.number, field.name, field.type, field.is_repeated, field.containing_oneof and field.containing_oneof.name)
            for field in message.fields
        }

    assert fields(ours) == fields(theirs)


def test_a_profile_has_the_same_bytes_in_tensorflow(kineto_traces):
    space = convert(kineto_traces.cuda().json())
    content = space.SerializeToString(deterministic=True)
    theirs = xplane_pb2.XSpace.FromString(content)
    assert theirs.SerializeToString(deterministic=True) == content
    assert XSpace.FromString(theirs.SerializeToString()) == space
    assert str(theirs) == str(space)


def test_jax_reads_a_profile(kineto_traces):
    space = convert(kineto_traces.cuda().json())
    data = jax.profiler.ProfileData.from_serialized_xspace(space.SerializeToString())
    planes = {plane.name: plane for plane in data.planes}
    assert set(planes) == {plane.name for plane in space.planes}
    steps = [event for line in planes["/host:CPU"].lines for event in line.events if event.name == "train"]
    assert [(event.start_ns, event.duration_ns) for event in steps] == [(0, 1e6), (1e6, 1e6), (2e6, 1e6)]
    assert [dict(event.stats)["step_num"] for event in steps] == [500, 501, 502]

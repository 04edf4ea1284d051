"""Cuts `jax_gpu.xplane.pb.gz` from a trace: python cut_jax.py TRACE.xplane.pb jax_gpu.xplane.pb.gz.

The trace is that of JAX 0.11.2 on an H100 (`benchmarks/gpu_check.py --only jax_profile`), as JAX wrote it: a training step of
GPT-2 in linen, all of it in one command buffer. Kept are two launches of what the first 43 operations of its program compute,
which are the first two blocks and the beginning of the third, and of the program what says their names; nothing of the host.
"""

import gzip
import sys
from pathlib import Path

from multiboard.profile import hlo
from multiboard.profile.xspace import PlaneBuilder, XSpace, find_plane, read_space, stats_of

OPERATIONS = 43


def cut_program(content):
    """Return a program with the first operations of its entry, without their operands and where in a file they are."""
    module = hlo._HloProto.FromString(content).hlo_module
    entry = next(one for one in module.computations if one.id == module.entry_computation_id)
    by_id = {one.id: one for one in entry.instructions}
    order = module.schedule.sequences[entry.id].instruction_ids
    kept, launched = [], 0
    for number in order:
        launched += not hlo._SILENT.fullmatch(by_id[number].opcode)
        if launched > OPERATIONS:
            break
        if by_id[number].opcode != "parameter":
            kept.append(number)
    proto = hlo._HloProto(hlo_module={"name": module.name, "id": module.id, "entry_computation_id": entry.id})
    instructions = proto.hlo_module.computations.add(id=entry.id).instructions
    for one in (by_id[number] for number in kept):
        instructions.add(name=one.name, opcode=one.opcode, id=one.id, metadata={"op_name": one.metadata.op_name})
    proto.hlo_module.schedule.sequences[entry.id].instruction_ids.extend(kept)
    return proto.SerializeToString()


def cut_device(source, target):
    """Copy two launches up to the kernel behind those that are kept."""
    target.name = source.name
    for number, stat in source.stat_metadata.items():
        target.stat_metadata[number].CopyFrom(stat)
    line = source.lines[0]
    new = target.lines.add(id=line.id, name=line.name, timestamp_ns=line.timestamp_ns)
    over = set()
    for event in sorted(line.events, key=lambda one: one.offset_ps):
        stats = stats_of(event, source)
        launch, node = stats["correlation_id"], stats["cuda_graph_node_id"] & 0xFFFFFFFF
        if node == OPERATIONS:
            over.add(launch)
        if launch not in over:
            new.events.add().CopyFrom(event)
            target.event_metadata[event.metadata_id].CopyFrom(source.event_metadata[event.metadata_id])
    used = {stat.metadata_id for event in new.events for stat in event.stats}
    used |= {stat.ref_value for event in new.events for stat in event.stats if stat.WhichOneof("value") == "ref_value"}
    for number in set(target.stat_metadata) - used:
        del target.stat_metadata[number]


def main(path, cut):
    """Cut a trace."""
    space, small = read_space(path), XSpace()
    plane = small.planes.add(name=hlo.METADATA_PLANE)
    cut_device(find_plane(space, "/device:GPU:0"), small.planes.add())
    device = small.planes[1]
    program = stats_of(device.lines[0].events[0], device)["program_id"]
    builder = PlaneBuilder(plane)
    for number, name, content in hlo._contents(space):
        if number == program:
            metadata = plane.event_metadata[builder.event_id(f"{name}({number})")]
            builder.add_stat(metadata.stats, "Hlo Proto", cut_program(content))
    Path(cut).write_bytes(gzip.compress(small.SerializeToString(deterministic=True), 9, mtime=0))


if __name__ == "__main__":
    main(*sys.argv[1:])

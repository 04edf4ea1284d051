"""Kernels and copies of a Kineto trace: the planes of the GPUs.

XProf tells kinds of work by names: a copy begins with MemcpyHToD, MemcpyDToH or MemcpyDToD, a collective with nccl. Launch
parameters are text (xprof/utils/kernel_stats_utils.cc), and the properties of the device are stats of its plane
(xprof/utils/xplane_schema.cc).
"""

from __future__ import annotations

import re
from collections import defaultdict
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from multiboard.profile.kineto.events import correlation, integer
from multiboard.profile.kineto.layers import enclosing_op, op_type, tf_op
from multiboard.profile.kineto.nesting import disjoint
from multiboard.profile.kineto.steps import consumed, step_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from multiboard.profile.kineto.events import Events, Range
    from multiboard.profile.xspace import SpaceBuilder, Value

_COPIES: Final = (
    (re.compile(r"HtoD|HostToDevice", re.IGNORECASE), "MemcpyHToD"),
    (re.compile(r"DtoH|DeviceToHost", re.IGNORECASE), "MemcpyDToH"),
    (re.compile(r"DtoD|PtoP|DeviceToDevice|PeerToPeer", re.IGNORECASE), "MemcpyDToD"),
)
_COLLECTIVE: Final = re.compile(r"(?:^|[\s:])(nccl\w*|rccl\w*)", re.IGNORECASE)
_COLLECTIVE_FACTS: Final = ("Collective name", "In msg nelems", "Out msg nelems", "Group size", "dtype", "Process Group Name")
_LANES: Final = 1 << 20
"""Above the numbers of streams: further lines of a stream whose kernels overlap."""
_TEMPLATE: Final = re.compile(r"<[^<>]*>")
_PROPERTIES: Final = {
    "computeMajor": "compute_cap_major",
    "computeMinor": "compute_cap_minor",
    "numSms": "core_count",
    "major": "compute_cap_major",
    "minor": "compute_cap_minor",
    "multiProcessorCount": "core_count",
    "totalGlobalMem": "memory_size",
}
"""What the trace knows of a device, of late and in old versions, and XProf's name of it."""
_FACTS: Final = {
    "compute_cap_major": "compute_cap_major",
    "compute_cap_minor": "compute_cap_minor",
    "core_count": "core_count",
    "memory_size": "memory_size",
    "clock_rate_khz": "clock_rate",
    "memory_bandwidth": "memory_bandwidth",
}
"""What the tracer knows of it: kHz, bytes, bytes per second."""
_AMD: Final = re.compile(r"AMD|Instinct|Radeon|gfx\d|\bMI\d", re.IGNORECASE)
_AMD_WARP: Final = 64


def tie_to_launches(events: Events, steps: list[Range]) -> None:
    """Say of all device work which operation has launched it; XProf ties them to steps by `correlation_id`.

    The operation is the one around the launch. "External id" names it only where there is none, e.g. as the launch is on a
    thread without operations: in old traces it is the correlation once more.
    """
    if not events.device:
        return
    hosts = [one for ranges in events.threads.values() for one in ranges]
    launches = {correlation(one): one for one in hosts if one.kind == "runtime"}
    launches.pop(0, None)
    has_ids = any(_external(one) not in (0, correlation(one)) for one in events.device)
    external = {_external(one): one for one in hosts if one.op} if has_ids else {}
    external.pop(0, None)
    for one in events.device:
        number = correlation(one)
        launch = launches.get(number)
        if launch is not None:
            one.stats["correlation_id"] = launch.stats["correlation_id"] = number
        elif (step := step_at(steps, one.start)) is not None:
            one.stats.update(consumed(step))
        _name(one, launch, external.get(_external(one)))


def add_devices(events: Events, space: SpaceBuilder, facts: Mapping[str, Any]) -> None:
    """Add a plane per GPU with a line per stream.

    Args:
        events: of the trace, tied to their launches.
        space: what they are added to.
        facts: of the tracer: `device` maps an index to what torch.cuda.get_device_properties knows more.
    """
    by_device: dict[int, dict[int, list[Range]]] = defaultdict(lambda: defaultdict(list))
    for one in events.device:
        device, stream = one.thread
        by_device[integer(one.args.get("device", device))][integer(one.args.get("stream", stream))].append(one)
    for device, streams in sorted(by_device.items()):
        plane = space.plane(f"/device:GPU:{device}")
        known = facts.get("device")
        known = known if isinstance(known, dict) else {}
        _describe(plane.stat, events.devices.get(device, {}), known.get(str(device), known.get(device)) or {}, events)
        for stream, ranges in sorted(streams.items()):
            kinds = ",".join(sorted({"Compute" if one.kind == "kernel" else one.shown.partition(" ")[0] for one in ranges}))
            for lane, alone in enumerate(disjoint(ranges)):
                line = plane.line(stream + lane * _LANES, f"Stream #{stream}({kinds})")
                for one in alone:
                    line.event(one.shown, one.start * 1000, (one.end - one.start) * 1000, _stats(one, stream))


@lru_cache(maxsize=4096)
def short_name(kernel: str) -> str:
    """Return the name of a kernel without its types, for where no operation is known.

    >>> short_name("void at::native::vectorized_elementwise_kernel<4, at::native::F<float>>(int, float*)")
    'vectorized_elementwise_kernel'
    """
    name = kernel.removeprefix("void ")
    while (shorter := _TEMPLATE.sub("", name)) != name:
        name = shorter
    return op_type(name.partition("(")[0].strip() or kernel)


def _external(one: Range) -> int:
    return integer(one.args.get("External id", one.args.get("external id")))


def _name(one: Range, launch: Range | None, op: Range | None) -> None:
    if launch is not None:
        op = None if "GraphLaunch" in launch.name else enclosing_op(launch) or op
    if one.kind == "memcpy":
        one.shown = next((f"{ours} ({one.name})" for pattern, ours in _COPIES if pattern.search(one.name)), one.name)
    elif one.kind == "kernel" and (collective := _COLLECTIVE.search(one.name)):
        kernel = one.name[collective.start(1) :]
        one.shown = kernel if kernel[0].lower() == "n" else f"nccl ({kernel})"
    if op is not None:
        one.op = op.op
    elif one.kind == "kernel":
        one.op = tf_op(launch.scope if launch is not None else "", short_name(one.shown))  # e.g. one of the many of a graph


def _stats(one: Range, stream: int) -> dict[str, Value]:
    stats: dict[str, Value] = {"stream": stream, **one.stats}
    if one.op:
        stats["tf_op"] = one.op
    if one.kind == "kernel":
        stats["kernel_details"] = _launch_parameters(one.args)
        stats.update({name: _plain(one.args[name]) for name in _COLLECTIVE_FACTS if name in one.args})
    elif one.kind == "memcpy":
        stats["memcpy_details"] = f"num_bytes:{_bytes(one.args)} kind:{one.name}"
    else:
        stats["memset_details"] = f"num_bytes:{_bytes(one.args)}"
    return stats


def _plain(value: object) -> Value:
    if isinstance(value, int) and not isinstance(value, bool):
        return integer(value)
    return value if isinstance(value, float | str) else str(value)


def _bytes(args: Mapping[str, Any]) -> int:
    return integer(args.get("bytes", args.get("Bytes", 0)))


def _launch_parameters(args: Mapping[str, Any]) -> str:
    occupancy = integer(args.get("est. achieved occupancy %", args.get("theoretical occupancy %")))
    return "\n".join(
        (
            f"regs:{integer(args.get('registers per thread'))}",
            f"static_shared:{integer(args.get('shared memory'))}",  # Kineto has the sum
            "dynamic_shared:0",
            f"grid:{_sizes(args.get('grid'))}",
            f"block:{_sizes(args.get('block'))}",
            f"occ_pct:{occupancy}",
        )
    )


def _sizes(value: object) -> str:
    """Return x,y,z."""
    sizes = value if isinstance(value, list) else []
    return ",".join(str(integer(size, 1)) for size in [*sizes, 1, 1, 1][:3])


def _describe(add: Any, properties: Mapping[str, Any], facts: Mapping[str, Any], events: Events) -> None:
    name = str(properties.get("name") or facts.get("name") or "")
    hip = any(one.name.startswith("hip") for ranges in events.threads.values() for one in ranges if one.kind == "runtime")
    amd = hip or bool(_AMD.search(name)) or properties.get("warpSize") == _AMD_WARP
    add("device_vendor", "AMD" if amd else "Nvidia")
    if name:
        add("gpu_device_name", name)
    known = {theirs: facts[ours] for ours, theirs in _FACTS.items() if ours in facts}
    known |= {theirs: properties[ours] for ours, theirs in _PROPERTIES.items() if ours in properties}
    for stat, value in known.items():
        add(stat, integer(value))

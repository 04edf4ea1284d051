"""Cuts `torch_compiled.json.gz` from a trace: python cut_torch.py TRACE.json.gz FACTS.json torch_compiled.json.gz.

The trace is that of PyTorch 2.11 on an H100: a training step of a GPT-2 of two blocks (128 features, 500 words) that
`torch.compile` has made programs of. Kept are one call of the forward and one of the backward program, without what operations
call inside, what was launched in them, and of the programs what `compiled_graphs` has kept of them: names of nodes, and source.
"""

import gzip
import json
import sys
from operator import itemgetter
from pathlib import Path

GRAPH = "## Call CompiledFxGraph"
KEPT = ("External id", "correlation", "device", "stream")


def load(path):
    """Return what is in a JSON file."""
    content = Path(path).read_bytes()
    return json.loads(gzip.decompress(content) if path.endswith(".gz") else content)


def inside(event, outer):
    """Tell whether an event of the same thread lies in another one."""
    return event["tid"] == outer["tid"] and outer["ts"] <= event["ts"] < outer["ts"] + outer["dur"]


def small(event, zero):
    """Return an event as far as it is read, with times from the beginning."""
    args = {name: event["args"][name] for name in KEPT if name in event.get("args", {})}
    kept = {name: event[name] for name in ("ph", "cat", "name", "pid", "tid", "dur")}
    return {**kept, "name": event["name"][:90], "pid": 1, "ts": round(event["ts"] - zero, 3), "args": args}


def main(path, facts, cut):
    """Cut a trace."""
    events = [event for event in load(path)["traceEvents"] if event.get("ph") == "X"]
    events.sort(key=itemgetter("ts"))
    calls = [event for event in events if event["name"].startswith(GRAPH) and event["cat"] in {"cpu_op", "user_annotation"}]
    forward, backward = calls[0], next(call for call in calls if call["name"] != calls[0]["name"])
    engine = next(e for e in events if e["name"].startswith("autograd::engine") and inside(backward, e))
    graphs = [forward, backward]
    ops = [e for e in events if e["cat"] == "cpu_op" and e not in graphs and any(inside(e, graph) for graph in graphs)]
    outer = [e for e in ops if not any(o is not e and inside(e, o) and e["ts"] + e["dur"] <= o["ts"] + o["dur"] for o in ops)]
    launches = [e for e in events if e["cat"] in {"cuda_runtime", "cuda_driver"} and any(inside(e, graph) for graph in graphs)]
    launches = [e for e in launches if "aunch" in e["name"]]
    numbers = {e["args"]["correlation"] for e in launches}
    kernels = [e for e in events if e["cat"] == "kernel" and e["args"]["correlation"] in numbers]
    kept = [*graphs, engine, *outer, *launches, *kernels]
    zero = min(e["ts"] for e in kept)
    trace = {"schemaVersion": 1, "traceEvents": [small(e, zero) for e in sorted(kept, key=itemgetter("ts"))]}
    content = json.dumps({"trace": trace, "compiled": load(facts)}, separators=(",", ":"))
    Path(cut).write_bytes(gzip.compress(content.encode(), 9, mtime=0))


if __name__ == "__main__":
    main(*sys.argv[1:])

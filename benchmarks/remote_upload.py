"""What a run on a URL costs the training loop, and what it uploads.

python benchmarks/remote_upload.py [--megabytes 1000] [--rounds 5]

The S3 server (moto) is a process of its own on 127.0.0.1 and shares the cores. Everything goes through a forwarder that counts
the bytes of the client: headers, bodies and attempts that fail. First, the time of a loop that computes and logs, and that of a
loop that only logs: not at all, into a directory, the same in a program that uses s3fs for something else, and on the URL, in
turn in fresh processes. Then one run of many megabytes: the bytes that were sent over those of the same run in a directory, which
are all events.
"""

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measure import Contender, race

from multiboard.dashboard import HOST, free_port

SERVER = """
import asyncio, logging, os, sys
from moto.server import ThreadedMotoServer

logging.getLogger("werkzeug").setLevel(logging.ERROR)
os.nice(19)  # as if it were another machine, as far as that is possible
server_port, port, counter_port = map(int, sys.argv[1:])
ThreadedMotoServer("127.0.0.1", server_port, verbose=False).start()
sent = 0

async def pump(reader, writer, counted):
    global sent
    try:
        while data := await reader.read(2**18):
            sent += len(data) if counted else 0
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()

async def forward(reader, writer):
    there = await asyncio.open_connection("127.0.0.1", server_port)
    await asyncio.gather(pump(reader, there[1], True), pump(there[0], writer, False))

async def tell(reader, writer):
    writer.write(str(sent).encode())
    await writer.drain()
    writer.close()

async def main():
    await asyncio.start_server(forward, "127.0.0.1", port)
    await asyncio.start_server(tell, "127.0.0.1", counter_port)
    await asyncio.Event().wait()

asyncio.run(main())
"""
LOOP = """
import multiboard as mb
from multiboard.remote import RemoteOptions
options = RemoteOptions(spool=d + "/spool", upload_every=2)
def beside_s3fs():  # the garbage collector passes over the objects of a large library, in every thread that allocates
    import s3fs
    return s3fs.S3FileSystem(skip_instance_cache=True).ls("") is not None
run = {run}
rng = numpy.random.default_rng(0)
a = rng.normal(size=({size}, {size}))
metrics = {{f"train/metric{{i}}": 0.5 for i in range(10)}}
for step in range(100):
    {log}
if run is not None:
    run.flush()
start()
for step in range(100, {steps} + 100):
    {compute}
    {log}
stop(calls={steps})
if run is not None:
    run.close()
"""
COMPUTE = "a = a @ a; a /= numpy.abs(a).max()"
LONG = """
import json, os, sys, time
import numpy
import multiboard as mb
from multiboard.remote import RemoteOptions

target, megabytes, directory = sys.argv[1], int(sys.argv[2]), sys.argv[3]
run = mb.Run(target, facts=False, overflow="block", remote=RemoteOptions(spool=directory, close_timeout=600))
rng = numpy.random.default_rng(0)
arrays = [rng.normal(size=16_384).astype(numpy.float32) for _ in range(64)]
begin = time.perf_counter()
for step in range(megabytes * 1_000_000 // 65_800):
    run.tensor("activations", arrays[step % 64], step)
    run.log({"train/loss": 0.5, "train/accuracy": 0.25}, step)
logged = time.perf_counter() - begin
run.close()
left = sum(len(names) for _, _, names in os.walk(directory))
print(json.dumps({"logged": logged, "closed": time.perf_counter() - begin, "dropped": run._reports.summary(), "left": left}))
"""


@contextlib.contextmanager
def server() -> Iterator[int]:
    """Start the S3 server and the forwarder before it, tell the programs its address, and yield the port of the counter."""
    ports = [free_port() for _ in range(3)]
    process = subprocess.Popen([sys.executable, "-c", SERVER, *map(str, ports)])
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://{HOST}:{ports[1]}",
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    try:
        yield ports[2]
    finally:
        process.terminate()
        process.wait()


def make_bucket(name: str) -> Any:
    """Make a bucket as soon as the server answers, and return the client."""
    import boto3

    client = boto3.client("s3")
    deadline = time.monotonic() + 60
    while True:
        try:
            client.create_bucket(Bucket=name)
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return client


def sent_bytes(port: int) -> int:
    """Return the bytes that clients have sent so far."""
    with socket.create_connection((HOST, port)) as connection:
        return int(connection.makefile().read())


def loop(run: str, *, steps: int, size: int) -> Contender:
    """Return a loop that logs into a run; size 0 computes nothing."""
    log, compute = ("pass" if run == "None" else "run.log(metrics, step)"), (COMPUTE if size else "pass")
    return Contender("multiboard", LOOP.format(run=run, steps=steps, size=size or 1, log=log, compute=compute))


def loops(arguments: argparse.Namespace) -> None:
    """Compare a loop that logs on the URL with one that logs into a directory."""
    local, remote = "mb.Run(d + '/run')", "mb.Run('s3://bench/run' + str(os.getpid()), remote=options)"
    runs = {"multiboard": local, "beside s3fs": f"beside_s3fs() and {local}", "on a URL": remote}
    for topic, steps, size in (
        ("a loop of computations", arguments.steps, 96),
        ("a loop that only logs", 8 * arguments.steps, 0),
    ):
        contenders = {"no logging": "None", **runs}
        medians = race(topic, {name: loop(run, steps=steps, size=size) for name, run in contenders.items()}, arguments)
        base = medians["no logging"]
        for name in runs:
            cpu, wall = (1e6 * (medians[name][key] - base[key]) / steps for key in ("caller_cpu_s", "wall_s"))
            print(f"  {name:12} costs the caller {cpu:6.2f} us CPU, {wall:6.2f} us wall per call of 10 values")


def long_run(target: str, megabytes: int, directory: str) -> dict[str, Any]:
    """Write many megabytes in a fresh process; return what it reports."""
    command = [sys.executable, "-c", LONG, target, str(megabytes), directory]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    reported: dict[str, Any] = json.loads(done.stdout)
    return reported


def volume(client: Any, counter: int, megabytes: int) -> None:
    """Upload one run of many megabytes and count."""
    with tempfile.TemporaryDirectory() as directory:
        local = long_run(f"{directory}/run", megabytes, f"{directory}/spool")
        events = sum(file.stat().st_size for file in Path(directory, "run").iterdir())
    before = sent_bytes(counter)
    with tempfile.TemporaryDirectory() as directory:
        remote = long_run("s3://bench/long", megabytes, directory)
    sent = sent_bytes(counter) - before
    pages = client.get_paginator("list_objects_v2").paginate(Bucket="bench", Prefix="long/")
    sizes = [item["Size"] for page in pages for item in page["Contents"]]
    print(f"\none run of {events / 1e6:.0f} MB of events")
    print(f"  in a directory: closed after {local['closed']:.1f} s")
    print(f"  on the URL: logged after {remote['logged']:.1f} s, closed after {remote['closed']:.1f} s", remote["dropped"])
    print(f"  {sent} bytes sent, {sent / events:.4f} of the events; {len(sizes)} objects of {sum(sizes)} bytes")
    print(f"  {remote['left']} files left in the spool")


def main() -> None:
    """Run all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=50_000)
    parser.add_argument("--out", type=Path, help="append JSON lines to this file")
    parser.set_defaults(only=None, topic="")
    arguments = parser.parse_args()
    with server() as counter:
        client = make_bucket("bench")
        loops(arguments)
        volume(client, counter, arguments.megabytes)


if __name__ == "__main__":
    main()

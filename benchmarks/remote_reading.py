"""How fast a local copy of runs in a bucket is made, and what the second look at it transfers.

python benchmarks/remote_reading.py [--runs 20] [--megabytes 256] [--segments 8]

The S3 server (moto) is a process of its own on 127.0.0.1 and shares the cores. Beside `multiboard.remote.mirror` stands
`fsspec.get` of the directory, which copies everything each time. Each number is that of a program of its own, imports
included; the bytes are those that it says it has copied.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from multiboard.dashboard import HOST, free_port

SERVER = """
import sys, logging
from moto.server import ThreadedMotoServer
logging.getLogger("werkzeug").setLevel(logging.ERROR)
ThreadedMotoServer("127.0.0.1", int(sys.argv[1]), verbose=False).start()
sys.stdin.read()
"""
MIRROR = """
import sys
from multiboard.remote.mirror import Mirror
print(Mirror(sys.argv[1], sys.argv[2]).update().size)
"""
FSSPEC = """
import os, sys, fsspec
fs, path = fsspec.url_to_fs(sys.argv[1])
fs.get(path + "/", sys.argv[2] + "/", recursive=True)
print(sum(os.path.getsize(os.path.join(top, name)) for top, _, names in os.walk(sys.argv[2]) for name in names))
"""


@contextlib.contextmanager
def server() -> Iterator[None]:
    """Start the S3 server, and tell its address to the programs by their environment."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(port)], stdin=subprocess.PIPE)
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://{HOST}:{port}",
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def fill(bucket: str, runs: int, segments: int, size: int) -> None:
    """Upload files that are named as the segments of runs."""
    import boto3

    client = boto3.client("s3")
    deadline = time.monotonic() + 60
    while True:
        try:
            client.create_bucket(Bucket=bucket)
            break
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
    for run in range(runs):
        for segment in range(segments):
            name = f"runs/{run:03d}/events.out.tfevents.1700000000.{segment:06d}.host.1"
            client.put_object(Bucket=bucket, Key=name, Body=os.urandom(size // runs // segments))


def measure(program: str, url: str, directory: Path) -> tuple[float, int]:
    """Return the seconds of a program, and the bytes that it says it has copied."""
    begin = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", program, url, str(directory)], stdout=subprocess.PIPE, check=True)
    return time.perf_counter() - begin, int(done.stdout)


def main() -> None:
    """Copy the same runs with both, twice."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--segments", type=int, default=8)
    parser.add_argument("--megabytes", type=int, default=256)
    given = parser.parse_args()
    with server(), tempfile.TemporaryDirectory() as directory:
        fill("bench", given.runs, given.segments, given.megabytes * 1_000_000)
        print(f"{given.runs} runs of {given.segments} segments, {given.megabytes} MB")
        for name, program in {"multiboard.remote.mirror": MIRROR, "fsspec.get": FSSPEC}.items():
            for look in ("first", "second"):
                seconds, copied = measure(program, "s3://bench/runs", Path(directory, name))
                rate = f", {copied / 1e6 / seconds:.0f} MB/s" if copied else ""
                print(f"{name:26} {look:7} {copied / 1e6:8.1f} MB in {seconds:6.2f} s{rate}")


if __name__ == "__main__":
    main()

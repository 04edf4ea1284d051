"""A real S3 server on 127.0.0.1, and a proxy before it that counts bytes and gets in the way."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import logging
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import pytest

HOST = "127.0.0.1"
KEY, SECRET = "AKIDEXAMPLE0001", "a-secret-of-nobody-0001"  # the server takes any
_NUMBERS = itertools.count()
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_OF_A_CONNECTION = {"connection", "transfer-encoding", "keep-alive", "expect"}


class Fault(NamedTuple):
    """What happens to a request instead of an answer, or before it.

    Attributes:
        status: of the answer; the server does not see the request.
        code: the error of S3 in the answer.
        message: of that error.
        delay: seconds before anything is answered.
        cut: end the connection "before" the server sees the request, amid its body, or "after" the server has done it.
    """

    status: int | None = None
    code: str = "InternalError"
    message: str = "injected"
    delay: float = 0.0
    cut: str = ""


@dataclass
class _Injected:
    fault: Fault
    method: str
    part_of_path: str
    times: float


@dataclass
class Proxy:
    """Stands before the server.

    Attributes:
        address: for `endpoint_url`.
        requests: that arrived, by method.
        put_bytes: of the bodies of PUT requests, also of those that failed.
        sizes: bytes of the bodies of PUT requests by path, a list each.
        get_bytes: of the bodies of the answers to GET requests.
        met: faults that happened.
    """

    address: str
    requests: Counter = field(default_factory=Counter)
    sizes: dict = field(default_factory=dict)
    put_bytes: int = 0
    get_bytes: int = 0
    met: list = field(default_factory=list)
    _faults: list = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def inject(self, fault, *, method="PUT", part_of_path="", times=1.0):
        """Let a fault happen to the next so many requests of a method (any: '') whose path holds a text."""
        self._faults.append(_Injected(fault, method, part_of_path, times))

    def mend(self):
        """Forget the faults that have not happened."""
        self._faults.clear()

    def options(self, **more):
        """Return storage options that lead through this proxy."""
        return {"key": KEY, "secret": SECRET, "client_kwargs": {"endpoint_url": self.address}, **more}

    def take(self, method, path, size):
        """Count a request, and return the fault that happens to it, or None."""
        with self._lock:
            self.requests[method] += 1
            if method == "PUT":
                self.put_bytes += size
                self.sizes.setdefault(path.partition("?")[0], []).append(size)
            for one in self._faults:
                if one.times > 0 and one.method in {"", method} and one.part_of_path in path:
                    one.times -= 1
                    self.met.append(one.fault)
                    return one.fault
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: Proxy
    server_port: int

    def log_message(self, *_):
        pass

    def handle_any(self):
        with contextlib.suppress(ConnectionError):  # the client has given up
            self._handle()

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = handle_any  # noqa: N815  # named by http.server

    def _handle(self):
        length = int(self.headers.get("Content-Length") or 0)
        fault = self.proxy.take(self.command, self.path, length) or Fault()
        if fault.cut == "before":
            self.rfile.read(length // 2)
            self._hang_up()
            return
        body = self.rfile.read(length)
        time.sleep(fault.delay)
        if fault.status is not None:
            self._answer(fault.status, {"Content-Type": "application/xml"}, _xml(fault))
            return
        status, headers, answer = self._ask(body)
        if fault.cut == "after":
            self._hang_up()
            return
        if self.command == "GET":
            self.proxy.get_bytes += len(answer)
        self._answer(status, headers, answer)

    def _ask(self, body):
        connection = http.client.HTTPConnection(HOST, self.server_port, timeout=60)
        try:
            sent = {name: value for name, value in self.headers.items() if name.lower() not in _OF_A_CONNECTION}
            connection.request(self.command, self.path, body or None, sent)
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            connection.close()

    def _answer(self, status, headers, body):
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in _OF_A_CONNECTION | {"content-length"}:
                self.send_header(name, value)
        length = next((value for name, value in headers.items() if name.lower() == "content-length"), "0")
        self.send_header("Content-Length", length if self.command == "HEAD" else str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _hang_up(self):
        self.close_connection = True
        self.connection.close()


def _xml(fault):
    said = f"<Error><Code>{fault.code}</Code><Message>{fault.message}</Message></Error>"
    return f'<?xml version="1.0" encoding="UTF-8"?>{said}'.encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_):
        pass


@contextlib.contextmanager
def proxy_before(port):
    """Start a proxy before the server at a port, and stop it."""
    handler = type("Handler", (_Handler,), {"server_port": port})
    server = _Server((HOST, 0), handler)
    handler.proxy = Proxy(f"http://{HOST}:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield handler.proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="session")
def s3_port():
    """The port of an S3 server, which keeps its objects in memory."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(HOST, 0, verbose=False)
    server.start()
    yield server.get_host_and_port()[1]
    server.stop()


@pytest.fixture
def s3_environment(s3_port, monkeypatch, tmp_path):
    """The server and its credentials by environment variables, which child processes get, too; and caches of this test's own."""
    for name in _PROXIES:
        monkeypatch.delenv(name, raising=False)
    variables = {
        "AWS_ENDPOINT_URL": f"http://{HOST}:{s3_port}",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "no-credentials"),
        "S3_ENDPOINT": f"http://{HOST}:{s3_port}",  # of TensorBoard's own file system
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


@pytest.fixture
def s3(s3_environment):  # noqa: ARG001  # which the client reads
    """A client of the server."""
    import boto3

    client = boto3.client("s3")
    yield client
    client.close()


@pytest.fixture
def bucket(s3):
    """The URL of an empty bucket."""
    name = f"bucket-{next(_NUMBERS)}"
    s3.create_bucket(Bucket=name)
    return f"s3://{name}"


@pytest.fixture
def proxy(s3_port, s3_environment):  # noqa: ARG001  # without proxies of the network
    """A proxy before the server."""
    with proxy_before(s3_port) as started:
        yield started


@pytest.fixture
def fault():
    """What makes a fault to inject."""
    return Fault


@pytest.fixture
def faults():
    """Faults to inject, by name."""
    return {
        "slow down": Fault(503, "SlowDown"),
        "internal error": Fault(500, "InternalError"),
        "denied": Fault(403, "AccessDenied"),
        "cut before": Fault(cut="before"),
        "cut after": Fault(cut="after"),
    }


@pytest.fixture
def fetched(tmp_path):
    """What returns a new local copy of all that lies in a store, by the path of its directory."""
    from multiboard.remote.store import Store

    numbers = itertools.count()

    def fetch(url, options=None):
        copy = tmp_path / f"fetched{next(numbers)}"
        copy.mkdir()
        store = Store(url, options)
        for name in store.list():
            store.get(name, str(copy / name))
        return copy

    return fetch


@pytest.fixture
def file(tmp_path):
    """A local file of 5 KB."""
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 20)
    return path


@pytest.fixture
def wait_for():
    """What waits until a condition holds."""

    def wait(condition, seconds=20.0):
        due = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < due
            time.sleep(0.01)

    return wait

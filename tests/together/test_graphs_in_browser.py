"""The Graphs tab draws traced graphs as they are meant, in a real browser. Run with -m browser; it needs Chromium.

The browser is driven over its debugging pipe (chromedevtools.github.io/devtools-protocol): JSON messages, each ended by a zero.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import time

import pytest

import multiboard as mb
from multiboard.graph import Frame, Graph, Node, TensorSpec

pytestmark = pytest.mark.browser

LIMIT = 60.0
SPEC = TensorSpec((8, 4), "float32")
FIND = """const find = (selector, root = document) => [...root.querySelectorAll('*')].flatMap(element => [
    ...(element.matches(selector) ? [element] : []), ...(element.shadowRoot ? find(selector, element.shadowRoot) : [])
]);"""
DRAWN = "find('g.node').map(node => node.dataset.name).filter(name => !name.includes('~~'))"
"""Names of nodes; '~~' is in those of the ends of edges at a border."""
EXPAND = """find('g.node').find(node => node.dataset.name === {name}).querySelector('.nodeshape .nodecolortarget')
    .dispatchEvent(new MouseEvent('dblclick', {{bubbles: true, composed: true, view: window}}))"""
SELECT = """for (const controls of find('tf-graph-controls').filter(controls => controls.datasets))
    controls._selectedRunIndex = Math.max(0, controls.datasets.findIndex(dataset => dataset.name === {name}))"""


class Browser:
    """A headless Chromium with one page."""

    def __init__(self, folder):
        self.events = []
        self._sent = 0
        self._rest = b""
        self._session = {}
        names = [name for name in ("chromium", "chromium-browser", "google-chrome") if shutil.which(name)]
        assert names, "install Chromium, or leave out -m browser"
        for pipe in ("to", "from"):
            os.mkfifo(folder / pipe)
        options = [
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--remote-debugging-pipe",
            "--window-size=1600,1000",
        ]
        command = [names[0], *options, f"--user-data-dir={folder / 'profile'}", "about:blank"]
        with (folder / "errors").open("w") as errors:
            pipes = 'exec "$@" 3<"$0/to" 4>"$0/from"'
            self._process = subprocess.Popen(["/bin/sh", "-c", pipes, str(folder), *command], stdout=errors, stderr=errors)
        self._to = (folder / "to").open("wb", buffering=0)
        self._from = (folder / "from").open("rb", buffering=0)
        (page,) = [target for target in self.ask("Target.getTargets")["targetInfos"] if target["type"] == "page"]
        session = self.ask("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
        self._session = {"sessionId": session}
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method, **params):
        """Send a command and return its result; what happens meanwhile is kept in `events`."""
        self._sent += 1
        message = {"id": self._sent, "method": method, "params": params, **self._session}
        self._to.write(json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._sent:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def _next(self):
        while b"\0" not in self._rest:
            assert select.select([self._from], [], [], LIMIT)[0], "the browser does not answer"
            received = os.read(self._from.fileno(), 1 << 20)
            assert received, "the browser has ended"
            self._rest += received
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def evaluate(self, expression, **given):
        """Return the value of an expression; what is given stands in it in braces."""
        filled = expression.format(**{key: json.dumps(value) for key, value in given.items()}) if given else expression
        answer = self.ask("Runtime.evaluate", expression=f"{{ {FIND} {filled} }}", returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def drawn(self, expected):
        """Wait until nodes are drawn; return the names of all that are drawn then, in the order of the alphabet."""
        end = time.monotonic() + LIMIT
        while not set(expected) <= set(names := self.evaluate(DRAWN)):
            assert time.monotonic() < end, names
            time.sleep(0.05)
        return sorted(names)

    def expand(self, name):
        self.evaluate(EXPAND, name=name)

    def complaints(self):
        """Return errors of the page so far: exceptions, errors in the console, and refused requests."""
        wrong = {"Runtime.exceptionThrown": lambda _: True}
        wrong["Log.entryAdded"] = lambda params: params["entry"]["level"] == "error"
        wrong["Runtime.consoleAPICalled"] = lambda params: params["type"] in {"error", "assert"}
        wrong["Network.responseReceived"] = lambda params: params["response"]["status"] >= 400
        return [event for event in self.events if event["method"] in wrong and wrong[event["method"]](event["params"])]

    def close(self):
        self._to.write(json.dumps({"id": 0, "method": "Browser.close"}).encode() + b"\0")
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._to.close()
        self._from.close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    started = Browser(tmp_path_factory.mktemp("browser"))
    yield started
    started.close()


def chain(model, paths):
    """Return a graph of layers of one class in a row, given by path; containers have no class."""
    frames = {}
    nodes = [Node("Input", (), (), (SPEC,), f"into_{model}")]
    for path in paths:
        parts = (model, *path.split("/"))
        for depth in range(len(parts)):
            cls = "Layer" if depth == len(parts) - 1 else model if not depth else ""
            frames.setdefault(parts[: depth + 1], Frame("module", parts[depth], cls, len(frames) + 1))
        scope = tuple(frames[parts[: depth + 1]] for depth in range(len(parts)))
        nodes.append(Node("mul", scope, ((len(nodes) - 1, 0),), (SPEC,)))
    nodes.append(Node("Output", (), ((len(nodes) - 1, 0),), (SPEC,), "output"))
    return Graph("torch", tuple(nodes))


@pytest.fixture
def opened(browser, own_board_dir, own_boards, request, tmp_path_factory):
    """A function that shows layers of a model in the Graphs tab; returns what is drawn first. Keeps a picture at the end."""
    board = own_boards["fast"].ready()

    def show(name, paths, last="output"):
        graph = chain(name, paths)
        with mb.Run(own_board_dir / name) as run:
            run.graph(graph)
        board.wait_for(lambda: board.json("data/plugin/graphs/info"), lambda info: info.get(name, {}).get("run_graph"))
        browser.ask("Page.navigate", url="about:blank")
        browser.events.clear()
        started = time.monotonic()
        browser.ask("Page.navigate", url=f"{board.address}#graphs")
        while not {f"into_{name}", last} & set(browser.evaluate(DRAWN)) - {"output"}:
            assert time.monotonic() < started + LIMIT
            browser.evaluate(SELECT, name=name)
            time.sleep(0.05)
        names = browser.drawn([last])
        print(f"{name}: {len(graph.nodes)} nodes, drawn {time.monotonic() - started:.2f} s after the page was asked for")  # noqa: T201
        return names

    yield show
    picture = tmp_path_factory.mktemp("pictures") / f"{request.node.name}.png"
    picture.write_bytes(base64.b64decode(browser.ask("Page.captureScreenshot")["data"]))
    print(picture)  # noqa: T201
    assert browser.complaints() == []


def test_twenty_thousand_layers_open_on_the_stages_and_unfold(browser, opened):
    paths = [f"stage{stage}/block{block}/layer{layer}" for stage in range(10) for block in range(20) for layer in range(100)]
    stages = [f"stage{stage}" for stage in range(10)]
    assert opened("Large", paths) == ["into_Large", "output", *stages]
    browser.expand("stage3")
    blocks = [f"stage3/block{block}" for block in range(20)]
    assert browser.drawn(blocks) == sorted(["into_Large", "output", *stages, *blocks])


def test_layers_with_numbers_are_drawn_one_by_one(opened):
    drawn = opened("Numbered", [f"Dense_{number}" for number in range(7)] + [str(number) for number in range(7)])
    leaves = [f"{number} Layer" for number in range(7)] + [f"Dense_{number} Layer" for number in range(7)]
    assert drawn == sorted(["into_Numbered", "output", *leaves])


def test_a_thousand_siblings_are_drawn_in_parts(opened):
    drawn = opened("Wide", [f"layer_{number}_of_many" for number in range(1000)], last="part_6")
    assert [name for name in drawn if name.startswith("part_")] == [f"part_{number}" for number in range(1, 7)]

"""One headless Chromium for the tests of a file; each test has pages of its own, and a complaint of any of them fails it."""

import contextlib
import os
import runpy
import shutil
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlencode, urlsplit

import pytest

import multiboard as mb
from multiboard.page.bundle import STATIC
from multiboard.page.pack import unpack

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
LOCAL = {"data", "blob", "file", "about"}
HERE = "127.0.0.1"
ORIGIN = f"http://{HERE}:9/"
"""Of the modules of the page, where no server is."""
STEPS, LAYERS, PART = 20, 12, (6, 10)
SIZE = {"width": 1280, "height": 900}


def _need(found, what):
    """Skip what cannot run by hand; where all has been installed for the tests, fail."""
    if not found:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"needs {what}")


@pytest.fixture(scope="module")
def browser():
    """Chromium as Playwright drives it; it ends with the file, for its event loop would be in the way of other tests."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    _need(path, "Chromium: apt-get install chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _need(None, "Playwright: pip install playwright")
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=path, args=FLAGS)
        yield started
        started.close()


def _watch(page, complaints, requests):
    def said(message):
        if message.type in {"error", "assert"}:
            complaints.append(f"console: {message.text}")

    def asked(request):
        parts = urlsplit(request.url)
        requests.append(request.url)
        if parts.scheme not in LOCAL and parts.hostname != HERE:
            complaints.append(f"asked for {request.url}")

    def answered(response):
        if response.status >= 400:
            complaints.append(f"{response.status} for {response.url}")

    def asked_for_attention(dialog):
        complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    page.on("console", said)
    page.on("dialog", asked_for_attention)
    page.on("pageerror", lambda error: complaints.append(f"exception: {error}"))
    page.on("request", asked)
    page.on("response", answered)


@pytest.fixture
def complaints():
    """What pages complained of: exceptions, errors in the console, refused requests, requests that leave this computer."""
    return []


@pytest.fixture
def requests():
    """Addresses that pages asked for."""
    return []


@pytest.fixture
def new_page(browser, complaints, requests):
    """A function that opens a page with a storage of its own, in a colour scheme and size."""
    with contextlib.ExitStack() as opened:

        def make(color_scheme="light", **options):
            context = browser.new_context(color_scheme=color_scheme, viewport=SIZE, reduced_motion="reduce", **options)
            opened.callback(context.close)
            context.set_default_timeout(60_000)
            context.route("**/favicon.ico", lambda route: route.fulfill(status=204))  # of the tab's page on its own there is none
            page = context.new_page()
            _watch(page, complaints, requests)
            return page

        yield make
    assert complaints == []


@pytest.fixture
def page(new_page):
    """An empty page."""
    return new_page()


@pytest.fixture(scope="session")
def synthetic():
    """The program that writes synthetic runs, as a module."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "programs" / "synthetic_runs.py")))


@pytest.fixture(scope="session")
def runs(tmp_path_factory, synthetic):
    """Directories by name: the second run parts from the first, the third has a layer more in its graph."""
    directory = tmp_path_factory.mktemp("synthetic")
    sizes = {"layers": LAYERS, "steps": STEPS}
    synthetic.write(directory, "torch", **sizes)
    synthetic.write(directory, "flax", part=PART, **sizes)
    synthetic.write(directory, "keras", extra=("head",), **sizes)
    return {name: directory / name for name in ("torch", "flax", "keras")}


@pytest.fixture(scope="session")
def compared(runs):
    """What the Python interface says of the runs."""
    return mb.compare(*runs.values())


@pytest.fixture(scope="session")
def held(runs):
    """What `mb.read` returns of the runs, by name."""
    return {name: mb.read(directory)["."] for name, directory in runs.items()}


@pytest.fixture(scope="session")
def report_file(runs, tmp_path_factory):
    """The report of the runs."""
    return mb.show(*runs.values()).save(tmp_path_factory.mktemp("report") / "report.html")


@pytest.fixture(scope="session")
def tabs(runs, serving, tmp_path_factory):
    """TensorBoard over the runs, by loader."""
    with serving(runs["torch"].parent, tmp_path_factory.mktemp("tab_output")) as started:
        for board in started.values():
            assert "multiboard" in board.ready().json("data/plugins_listing")
            board.wait_for(lambda board=board: _told(board), lambda found: found == dict.fromkeys(runs, STEPS - 1))
        yield started


def _told(board):
    """Return the last steps of the runs that TensorBoard has read so far, by name."""
    packed, _ = board.bytes("data/plugin/multiboard/part/runs")
    return {one["name"]: one["steps"] for one in unpack(packed)["runs"]}


MODES = ("report", "tab")


@pytest.fixture(params=MODES)
def mode(request):
    """Where the page is shown: as a file, or by TensorBoard's fast loader."""
    return request.param


@pytest.fixture
def address(mode, request):
    """A function that returns the address of the page, with a state."""

    def of(**state):
        fragment = urlencode(state)
        if mode == "report":
            return f"{request.getfixturevalue('report_file').as_uri()}#{fragment}"
        board = request.getfixturevalue("tabs")["fast"]
        return f"{board.address}data/plugin_entry.html?name=multiboard#{fragment}"

    return of


@pytest.fixture
def opened(page, address):
    """A function that opens the page with a state and returns its panels by name, each as soon as it is filled."""

    def show(**state):
        page.goto(address(**({"baseline": "torch", "runs": '["flax","keras"]'} | state)))
        page.wait_for_selector("main section")
        return lambda name: filled(page, name)

    return show


def filled(page, name):
    """Return a panel when it has been filled."""
    panel = page.locator(f"#panel-{name}")
    wait_in_view(page, name, "panel => panel.ariaBusy === 'false'")
    return panel


def wait_in_view(page, name, condition):
    """Wait for a condition of a panel, which is kept in view: those above it push it away as they are filled."""
    page.wait_for_function(
        f"""name => {{
            const panel = document.getElementById(`panel-${{name}}`);
            const {{ top, bottom }} = panel.getBoundingClientRect();
            if (top > innerHeight || bottom < 0) panel.scrollIntoView();
            return ({condition})(panel);
        }}""",
        arg=name,
    )


@pytest.fixture
def walk():
    """A function that brings every panel of a page into view, one after another, until it is filled."""

    def bring(page):
        for place in page.locator("main section").evaluate_all("sections => sections.map(section => section.id)"):
            filled(page, place.removeprefix("panel-"))

    return bring


@pytest.fixture
def in_view(page):
    """A function that waits for a condition of a panel, a function of its element, while the panel is in view."""
    return lambda name, condition: wait_in_view(page, name, condition)


@pytest.fixture(scope="session")
def number():
    """A function that reads a number as the page writes it; percentages as fractions."""

    def read(text):
        words = text.replace(",", "").replace("\N{MINUS SIGN}", "-").split()
        value = float("nan") if words[0] == "–" else float(words[0])  # noqa: RUF001  # the page writes a dash
        return value / 100 if words[1:] == ["%"] else value

    return read


@pytest.fixture
def modules(page):
    """An empty page that can import the modules of the page, e.g. '/format.js'."""

    def answer(route):
        name = route.request.url.removeprefix(ORIGIN)
        if name:
            route.fulfill(path=STATIC / name, content_type="text/javascript")
        else:
            route.fulfill(body="<!doctype html>", content_type="text/html")

    page.route(f"{ORIGIN}**", answer)
    page.goto(ORIGIN)
    return page


@pytest.fixture
def call(modules):
    """A function that calls what a module of the page exports; numbers that are not finite travel as texts."""
    calling = """async ([module, name, given]) => {
        const found = (await import(module))[name](...given);
        return JSON.parse(JSON.stringify(found, (key, value) => ArrayBuffer.isView(value) ? [...value]
            : typeof value === 'number' && !Number.isFinite(value) ? String(value) : value));
    }"""
    return lambda module, name, *given: modules.evaluate(calling, [f"/{module}", name, given])

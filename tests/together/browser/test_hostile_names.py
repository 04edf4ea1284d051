"""Names and texts that would be code or a path elsewhere are text on the page."""

import numpy as np
import pytest

import multiboard as mb
from multiboard.page.limits import IN_FILE
from multiboard.page.parts import Board
from multiboard.page.report import report

pytestmark = pytest.mark.browser

SCRIPT = "<script>alert(1)</script>"
IMAGE = "<img src=x onerror=alert(2)>"
CLOSE = "</script><script>alert(3)</script>\"'`${alert(4)}"
LINK = "[click](javascript:alert(5)) ![picture](http://example.com/x.png) <b onclick=alert(6)>bold</b>"
TURNED = "safe\u202egpj.exe"
NAMES = ("../../x", SCRIPT, TURNED)
MADE = "() => [document.scripts.length, document.querySelectorAll('a, iframe, object, embed, b[onclick], img[onerror]').length]"


def write(directory, number):
    rng = np.random.default_rng(number)
    facts = {IMAGE: CLOSE, "link": "javascript:alert(7)", "__proto__": "polluted"}
    with mb.Run(directory, config={SCRIPT: IMAGE, "seed": number, "note": LINK}, facts=facts) as run:
        for step in range(4):
            run.log({f"train/{SCRIPT}": 1.0 + number * step, f"train/{IMAGE}": 2.0, "constructor": 1.0}, step)
            for path in (f"{IMAGE}/kernel", f"{CLOSE}/kernel", "__proto__/kernel"):
                values = rng.normal(size=64) if number else np.ones(64)
                run.histogram(f"grads/{path}", values, step, description=f"`{CLOSE}` of {IMAGE}")
        run.text(f"text/{SCRIPT}", f"{SCRIPT} {LINK}\n\n| a | {IMAGE} |\n|---|---|\n| {SCRIPT} | {CLOSE} |", 1)
        run.text("profile/top_ops", f"| a | b |\n|---|---|\n| {LINK} | {SCRIPT} |", 1)
        run.log({f"profile/{IMAGE}": 1.0}, 1)
        run.image(f"image/{CLOSE}", np.zeros((4, 4, 3), np.uint8), 1)
    return mb.read(directory)["."]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """The report of runs of such names, with such layers, tags, settings, facts and texts."""
    directory = tmp_path_factory.mktemp("hostile")
    found = {name: write(directory / str(number), number) for number, name in enumerate(NAMES)}
    saved = directory / "report.html"
    saved.write_text(report(Board(found, fixed=True, limits=IN_FILE, layers={IMAGE: IMAGE}), f"{CLOSE}{SCRIPT}"), "utf-8")
    return saved


@pytest.fixture
def shown(page, hostile, walk):
    """The page with all panels filled."""
    page.goto(hostile.as_uri())
    page.wait_for_selector("main section")
    walk(page)
    return page


def test_nothing_of_them_becomes_an_element(shown, requests, hostile):
    assert shown.evaluate(MADE) == [1, 0]
    assert [one for one in requests if not one.startswith(("blob:", "data:"))] == [hostile.as_uri()]
    assert shown.evaluate("() => [{}.polluted, Object.keys(Object.prototype).length]") == [None, 0]


def test_they_are_read_as_they_are(shown):
    shown.get_by_label("Differences only", exact=True).first.uncheck()
    shown.wait_for_function("() => document.body.innerText.includes('javascript:alert(7)')")
    text = shown.evaluate("() => document.body.innerText")
    for one in (*NAMES, IMAGE, CLOSE, "javascript:alert(7)", "__proto__"):
        assert one in text, one
    assert shown.title() == f"{CLOSE}{SCRIPT}"


def test_every_choice_among_them_can_be_made(shown):
    for chooser in shown.locator("main select:visible").all():
        for value in chooser.locator("option").evaluate_all("options => options.map(option => option.value)"):
            chooser.select_option(value)
    for chip in shown.locator(".chip:not(.baseline)").all():
        chip.click()
        chip.click()
    assert shown.evaluate(MADE) == [1, 0]


def test_a_state_written_by_a_stranger_does_nothing(page, hostile, walk):
    for fragment in (
        f"layer={SCRIPT}&kind=__proto__&measure=constructor&run=toString&step=NaN",
        "runs={&x=hasOwnProperty",
        "%E0%A4%A",
    ):
        page.goto("about:blank")
        page.goto(f"{hostile.as_uri()}#{fragment}")
        page.wait_for_selector("main section")
        walk(page)
        assert page.evaluate(MADE) == [1, 0]
        assert not page.locator("section [role=alert]:visible").count()

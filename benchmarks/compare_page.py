"""How long the page of compared runs takes: to be made, and in Chromium until it answers a key, as a report and as a tab.

Usage: python benchmarks/compare_page.py [--layers 1000] [--steps 200] [--directory RUNS]. Needs Playwright and Chromium.
"""

from __future__ import annotations

import argparse
import runpy
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import multiboard as mb
from multiboard.dashboard import HOST, free_port
from multiboard.page.pack import unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SYNTHETIC = Path(__file__).parents[1] / "tests" / "together" / "programs" / "synthetic_runs.py"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run"]
REPEATS = 5
DEADLINE = 300.0


def write_runs(directory: Path, layers: int, steps: int) -> list[Path]:
    """Write two runs of which the second parts from the first in the middle; return their directories."""
    write: Callable[..., None] = runpy.run_path(str(SYNTHETIC))["write"]
    for name, part in (("torch", None), ("flax", (layers // 2, steps // 2))):
        if not (directory / name).exists():
            write(directory, name, layers=layers, steps=steps, part=part, kinds=("grads",))
    return [directory / "torch", directory / "flax"]


def timed(what: str, made: Callable[[], Any]) -> Any:
    """Return what a function makes, and say how long it took."""
    started = time.perf_counter()
    result = made()
    print(f"{what:60} {time.perf_counter() - started:8.2f} s")
    return result


@contextmanager
def tensorboard(directory: Path, option: str, last_step: int) -> Iterator[str]:
    """Start TensorBoard and return the address of its tab when it has read the runs."""
    port = free_port()
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(directory), "--host", HOST, "--port", str(port), option]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://{HOST}:{port}/data/"
    try:
        until = time.monotonic() + DEADLINE
        while not _has_read(f"{address}plugin/multiboard/part/runs", last_step) and time.monotonic() < until:
            time.sleep(1)
        yield f"{address}plugin_entry.html?name=multiboard"
    finally:
        process.terminate()
        process.wait()


def _has_read(address: str, last_step: int) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=60) as answer:  # noqa: S310  # of this computer
            runs = unpack(answer.read())["runs"]
    except OSError:
        return False
    return len(runs) > 1 and all(run["steps"] == last_step for run in runs)


def opened(browser: Any, address: str) -> tuple[float, float, float]:
    """Return the seconds until the verdict is seen, until the map of layers and steps answers a key, and until the next key."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(1000 * DEADLINE)
    started = time.perf_counter()
    page.goto(f"{address}#baseline=torch")
    page.wait_for_selector(".verdict")
    verdict = time.perf_counter() - started
    page.wait_for_function("() => document.getElementById('panel-layers').ariaBusy === 'false'")
    page.locator(".map-scroll").focus()
    page.keyboard.press("ArrowDown")
    page.wait_for_selector(".map .hover:not([hidden])")
    ready = time.perf_counter() - started
    page.keyboard.press("PageDown")
    page.evaluate("() => new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    key = time.perf_counter() - started - ready
    page.close()
    return verdict, ready, key


def show_times(what: str, browser: Any, address: str) -> None:
    """Print the first and the best of some openings."""
    times = [opened(browser, address) for _ in range(REPEATS)]
    for name, number in (("verdict seen", 0), ("map answers a key", 1), ("a further key", 2)):
        each = [one[number] for one in times]
        print(f"{f'{what}: {name}, first and best of {REPEATS}':60} {each[0]:8.2f} s {min(each):8.2f} s")


def main() -> None:
    """Measure and print."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--directory", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as driver:
        directory = chosen.directory or Path(scratch) / "runs"
        runs = timed("runs written", lambda: write_runs(directory, chosen.layers, chosen.steps))
        held = timed("runs read", lambda: [mb.read(run)["."] for run in runs])
        timed("runs compared", lambda: mb.compare(*held))
        page = timed("report made", lambda: mb.show(*held))
        print(f"{'report':60} {len(page.html) / 1e6:8.2f} MB")
        file = page.save(Path(scratch) / "report.html")
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        show_times("report", browser, file.as_uri())
        for loader, option in (("fast", "--load_fast=true"), ("slow", "--load_fast=false")):
            with tensorboard(directory, option, chosen.steps - 1) as address:
                show_times(f"tab, {loader} loader", browser, address)
        browser.close()


if __name__ == "__main__":
    main()

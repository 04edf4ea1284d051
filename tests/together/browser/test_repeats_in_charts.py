"""Repeats of one training in the charts of scalars, other axes, and what keys do in the graph and with pictures."""

import numpy as np
import pytest

import multiboard as mb

pytestmark = pytest.mark.browser

STEPS, SEEDS, START = 12, 3, 1.7e9


def loss(lr, seed):
    return np.exp(-np.arange(STEPS) * lr) + 0.05 * np.random.default_rng(seed).normal(size=STEPS)


@pytest.fixture(scope="module")
def repeats(tmp_path_factory):
    """The report of three repeats each of two trainings; those with the larger learning rate do not count samples."""
    directory = tmp_path_factory.mktemp("repeats")
    named = [(lr, seed, directory / f"lr{lr}-s{seed}") for lr in (0.1, 0.3) for seed in range(SEEDS)]
    for lr, seed, path in named:
        with mb.Run(path, config={"lr": lr, "seed": seed}, facts={"framework": "torch"}) as run:
            for step, value in enumerate(loss(lr, seed)):
                counted = {"train/samples": 64.0 * (step + 1)} if lr == 0.1 else {}
                run.log({"train/loss": value, **counted}, step, wall_time=START + 2.0 * step)
    return mb.show(*(path for _, _, path in named)).save(directory / "report.html").as_uri()


@pytest.fixture
def told(page, repeats):
    """A function that opens the charts and returns what the first three points of the loss say."""

    def read(fragment):
        page.goto(f"{repeats}#{fragment}")
        page.locator("#panel-scalars").scroll_into_view_if_needed()
        card = page.locator("#panel-scalars .card", has_text="train/loss")
        card.locator("canvas").wait_for()
        card.locator(".chart").focus()
        found = []
        for _ in range(3):
            page.keyboard.press("ArrowRight")
            box = card.locator(".hover")
            box.wait_for(state="visible")
            lines = dict(line.inner_text().split("\n") for line in box.locator("div:has(data)").all())
            found.append((box.locator("b").inner_text(), lines))
        return found

    return read


def test_repeats_are_drawn_as_one_curve_the_mean(told, number):
    means = {lr: np.mean([loss(lr, seed) for seed in range(SEEDS)], axis=0) for lr in (0.1, 0.3)}
    found = told("group=auto")
    for step, (heading, lines) in enumerate(found):
        assert heading == f"step {step}"
        expected = {f"lr {lr} (3)": mean[step] for lr, mean in means.items()}
        assert {name: number(text) for name, text in lines.items()} == pytest.approx(expected, rel=1e-3)


def test_groups_by_the_seed_join_other_runs(told, number):
    found = told("group=seed")
    for step, (_, lines) in enumerate(found):
        expected = {f"seed {seed} (2)": np.mean([loss(lr, seed)[step] for lr in (0.1, 0.3)]) for seed in range(SEEDS)}
        assert {name: number(text) for name, text in lines.items()} == pytest.approx(expected, rel=1e-3)


def test_runs_that_lack_an_axis_are_left_out_and_named(page, told):
    found = told("x=train/samples")
    assert [heading for heading, _ in found] == ["train/samples 64", "train/samples 128", "train/samples 192"]
    assert sorted(found[0][1]) == ["lr0.1-s0", "lr0.1-s1", "lr0.1-s2"]
    page.get_by_text("Not drawn, for they do not log train/samples: lr0.3-s0, lr0.3-s1, lr0.3-s2.").wait_for()


def test_time_counts_from_the_beginning_of_each_run(told):
    found = told("x=time")
    assert [heading for heading, _ in found] == ["seconds 0", "seconds 2", "seconds 4"]
    assert len(found[0][1]) == 2 * SEEDS


def test_layers_of_the_graph_are_walked_folded_and_unfolded_with_keys(page, opened):
    panel = opened(run="keras")("graph")
    rows = panel.locator("tbody tr")
    everything = rows.count()
    rows.first.focus()
    for key in ("ArrowDown", "ArrowLeft"):
        page.keyboard.press(key)
    focused = panel.locator("tr:focus")
    assert (focused.locator("td").first.inner_text(), focused.get_attribute("aria-expanded")) == ("▸block0", "false")
    assert rows.count() == everything - 4
    page.keyboard.press("ArrowRight")
    assert rows.count() == everything
    page.keyboard.press("End")
    assert focused.locator("td").first.inner_text() == rows.last.locator("td").first.inner_text()


def test_a_picture_opens_in_a_window_and_keys_lead_to_other_runs_and_steps(page, opened):
    panel = opened(media="samples/picture", mediaStep="10")("media")
    panel.locator("button.shot").first.click()
    caption = panel.locator("dialog p")
    seen = [caption.inner_text()]
    for key in ("ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
        page.wait_for_function("before => document.querySelector('dialog p').innerText !== before", arg=seen[-1])
        seen.append(caption.inner_text())
    places = ("torch, samples/picture, step 10", "flax, samples/picture, step 10", "flax, samples/picture, step 19")
    assert seen == [f"{place} 12 × 8" for place in places]  # noqa: RUF001  # as the page writes sizes
    page.keyboard.press("Escape")
    assert not panel.locator("dialog").is_visible()


def test_clips_of_all_runs_are_decoded_in_the_page(opened):
    panel = opened(media="samples/sound", mediaStep="10")("media")
    panel.locator(".clip").nth(2).wait_for()
    for clip in panel.locator(".clip").all():
        clip.get_by_text("0.00 / 0.05 s").wait_for()
        assert clip.locator("button").is_enabled()
    assert panel.locator(".clip").count() == 3

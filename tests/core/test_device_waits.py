"""Numbers that a device still computes are waited for in groups: in order, none lost, and soon where the device is slow."""

import time

import numpy as np

import multiboard as mb
from multiboard import arrays, device_waits
from multiboard.device_waits import DeviceWaits
from multiboard.values import Scalars


class OnDevice:
    """An array without axes that arrives after a wait."""

    shape = ()

    def __init__(self, number, seconds=0.0):
        self.number, self.seconds = number, seconds
        self.fetched = 0

    def __array__(self, dtype=None, copy=None):
        time.sleep(self.seconds if not self.fetched else 0)
        self.fetched += 1
        return np.asarray(self.number, dtype)


class Pending(OnDevice):
    """A number that may be fetched only once."""

    def fetch(self):
        time.sleep(self.seconds)
        self.fetched += 1
        return self.number


def calls(values):
    return [("loss", value, step, 0.0) for step, value in enumerate(values)]


def sizes(waits, values):
    return [len(group) for group in waits.groups(calls(values))]


def test_plain_numbers_stay_together_and_are_not_waited_for():
    logged = calls([1.0] * 500)
    assert [group is logged for group in DeviceWaits().groups(logged)] == [True]


def test_groups_grow_while_waits_are_short_up_to_a_limit():
    assert sizes(DeviceWaits(), [OnDevice(1.0) for _ in range(200)]) == [1, 2, 4, 8, 16, 32, 64, 64, 9]


def test_groups_shrink_while_waits_are_long():
    waits = DeviceWaits()
    sizes(waits, [OnDevice(1.0) for _ in range(7)])
    assert sizes(waits, [OnDevice(1.0, 0.06) for _ in range(12)])[:3] == [8, 4]


def test_only_the_last_call_of_a_group_is_waited_for_where_numbers_cannot_be_read_at_once():
    waits, values = DeviceWaits(), [OnDevice(float(i)) for i in range(3)]
    for group in waits.groups(calls(values)):
        assert [record[1].fetched for record in group] == [0] * (len(group) - 1) + [1]


def test_calls_whose_numbers_have_arrived_become_calls_with_numbers_and_others_stay(monkeypatch):
    monkeypatch.setattr(arrays, "REFERENCES", arrays.REFERENCES | {OnDevice})
    monkeypatch.setattr(device_waits, "REFERENCES", arrays.REFERENCES)
    lost = Scalars(("a", "b"), (OnDevice(1.5), OnDevice("lost")), 1, 0.5)
    twice = Scalars(("a", "a"), (OnDevice(1.5), OnDevice(2.5)), 2, 0.5)
    logged = [Scalars(("a", "b"), (OnDevice(1.5), OnDevice([2])), 0, 0.5), lost, twice]
    found = [record for group in DeviceWaits().groups(logged) for record in group]
    assert found == [({"a": 1.5, "b": 2.0}, None, 0, 0.5), lost, twice]


def test_a_number_that_cannot_be_read_ends_no_wait():
    class Lost(OnDevice):
        def __array__(self, dtype=None, copy=None):
            raise RuntimeError("donated")

    assert sizes(DeviceWaits(), [OnDevice(1.0), Lost(2.0), OnDevice(3.0)]) == [1, 2]


def test_pending_numbers_are_left_to_be_fetched_once(tmp_path):
    values = [Pending(float(step)) for step in range(20)]
    assert sizes(DeviceWaits(), values) == [20]
    with mb.Run(tmp_path / "run", facts=False) as run:
        for step, value in enumerate(values):
            run.scalar("loss", value, step)
    assert {value.fetched for value in values} == {1}


def test_all_steps_are_written_in_order(tmp_path):
    with mb.Run(tmp_path / "run", facts=False) as run:
        for step in range(300):
            run.log({"loss": Pending(float(step), 0.0005), "seen": float(step)}, step)
    columns = mb.read(tmp_path / "run")["."].scalars
    assert columns["loss"].value.tolist() == columns["seen"].value.tolist() == [float(step) for step in range(300)]
    assert columns["loss"].step.tolist() == list(range(300))

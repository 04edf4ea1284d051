"""Framing is that of TFRecord files, and damage never stops or fools the reader."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiboard.records import frame, masked_crc, unframe


def test_masked_crc_is_that_of_the_published_test_vector():
    """RFC 3720 B.4: 32 bytes of zeros have the CRC-32C 0x8a9136aa."""
    crc = 0x8A9136AA
    assert masked_crc(bytes(32)) == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_what_is_framed_is_read_back(payloads):
    damage = []
    assert list(unframe(b"".join(map(frame, payloads)), damage)) == payloads
    assert damage == []


@given(st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=4), st.data())
def test_a_cut_loses_only_the_record_that_it_hits(payloads, data):
    whole = b"".join(map(frame, payloads))
    cut = data.draw(st.integers(0, len(whole) - 1))
    complete = 0
    while len(b"".join(map(frame, payloads[: complete + 1]))) <= cut:
        complete += 1
    damage = []
    assert list(unframe(whole[:cut], damage)) == payloads[:complete]
    assert [place.torn for place in damage] == [True] * (cut > len(b"".join(map(frame, payloads[:complete]))))


@given(st.binary(max_size=400))
def test_garbage_is_reported_and_ends(garbage):
    damage = []
    assert list(unframe(garbage, damage)) == []
    assert bool(damage) == bool(garbage)


def test_a_flipped_payload_bit_loses_one_record_and_says_where():
    data = bytearray(frame(b"first") + frame(b"second") + frame(b"third"))
    data[len(frame(b"first")) + 12] ^= 1
    damage = []
    assert list(unframe(bytes(data), damage)) == [b"first", b"third"]
    assert [(place.offset, place.torn) for place in damage] == [(len(frame(b"first")), False)]


@pytest.mark.parametrize("length", [2**32, 2**63, 2**64 - 1])
def test_a_huge_length_allocates_nothing(length):
    header = struct.pack("<Q", length)
    damage = []
    assert list(unframe(header + struct.pack("<I", masked_crc(header)) + b"xxxx", damage)) == []
    assert damage[0].torn

"""The steps of pickles are followed as the unpickler takes them."""

import io
import pickle

import pytest

from dsrg.io.pickle_steps import check_steps


def test_memoize_counts_the_places_in_use():
    """After place 2 the number that MEMOIZE takes is 1, as many places as are in use."""
    text = b"\x80\x04K\x03q\x02K\x05\x94h\x01\x86."
    assert pickle.loads(text) == (5, 5)
    check_steps(io.BytesIO(text))


@pytest.mark.parametrize("text", [b"\x80\x04K\x03q\x02h\x01\x86.", b"K\x01g0\n.", b"K\x01p0\ng-1\n.", b"K\x01p-1\n.",
                                  b"\x80\x02K\x01(q\x00t."],
                         ids=["free", "none yet", "get below zero", "put below zero", "mark"])
def test_places_where_nothing_is(text):
    with pytest.raises((pickle.UnpicklingError, ValueError)):
        pickle.loads(text)
    with pytest.raises(pickle.UnpicklingError, match="it (remembers|asks for)"):
        check_steps(io.BytesIO(text))


def test_what_pickle_writes_passes():
    for protocol in range(5):
        shared = ["a", (1, 2)]
        check_steps(io.BytesIO(pickle.dumps({"x": shared, "y": [shared, shared], "z": 1.5}, protocol)))

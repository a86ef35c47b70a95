"""The CRF's backend is chosen at the edge: flag, then variable, then our own."""

import pytest

from dsrg.crf_backend import CRF_BACKENDS, use_crf_backend
from dsrg.io.errors import UserError

krahenbuhl2013 = pytest.importorskip("krahenbuhl2013", reason="the CRF package is not built: run setup.sh")


@pytest.fixture
def chosen(monkeypatch):
    names = []
    monkeypatch.setattr(krahenbuhl2013, "set_backend", names.append)
    return names


def test_flag_then_variable_then_own(chosen, monkeypatch):
    monkeypatch.delenv("CRF_BACKEND", raising=False)
    assert use_crf_backend() == "own"
    monkeypatch.setenv("CRF_BACKEND", "pydensecrf")
    assert use_crf_backend() == "pydensecrf"
    assert use_crf_backend("own") == "own"
    monkeypatch.setenv("CRF_BACKEND", "")
    assert use_crf_backend() == "own"
    assert chosen == ["own", "pydensecrf", "own", "own"]


def test_unknown_name_says_who_said_it(monkeypatch):
    monkeypatch.setenv("CRF_BACKEND", "cuda")
    with pytest.raises(UserError, match="^CRF_BACKEND: expected own or pydensecrf, got 'cuda'"):
        use_crf_backend()


def test_missing_pydensecrf_is_a_line_for_the_user(monkeypatch):
    def missing(name):
        raise ImportError("the module pydensecrf is not installed")

    monkeypatch.setattr(krahenbuhl2013, "set_backend", missing)
    with pytest.raises(UserError, match="--crf-backend=pydensecrf: the module pydensecrf is not installed"):
        use_crf_backend("pydensecrf")
    monkeypatch.delenv("CRF_BACKEND", raising=False)
    assert use_crf_backend() == "own"  # not needed by a net without a CRF


def test_names_are_those_of_the_package():
    assert krahenbuhl2013.BACKENDS == CRF_BACKENDS

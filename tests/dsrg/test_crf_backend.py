"""The CRF's backend is chosen at the edge: the flag, then the variable, then our own."""

import pytest

from dsrg.crf_backend import CRF_BACKENDS, use_crf_backend
from dsrg.io.errors import UserError
from tools import segment
from training import train

krahenbuhl2013 = pytest.importorskip("krahenbuhl2013", reason="the CRF package is not built: run setup.sh")


@pytest.fixture
def chosen(monkeypatch):
    names = []
    monkeypatch.setattr(krahenbuhl2013, "set_backend", names.append)
    return names


@pytest.mark.parametrize("command, words", [
    (train, ["--solver", "s"]),
    (segment, ["--net", "n", "--weights", "w", "--list", "l", "--images", "i", "--out", "o"])])
def test_commands_take_flag_then_variable_then_own(command, words, monkeypatch):
    def backend(*more):
        return command.parse_args([*words, *more]).crf_backend

    monkeypatch.delenv("CRF_BACKEND", raising=False)
    assert backend() == "own"
    monkeypatch.setenv("CRF_BACKEND", "pydensecrf")
    assert backend() == "pydensecrf"
    assert backend("--crf-backend", "own") == "own"
    monkeypatch.setenv("CRF_BACKEND", "")
    assert backend() == "own"


def test_library_reads_no_variable(chosen, monkeypatch):
    monkeypatch.setenv("CRF_BACKEND", "pydensecrf")
    assert use_crf_backend() == "own" and chosen == ["own"]


def test_unknown_name_is_refused_whoever_said_it():
    with pytest.raises(UserError, match="^--crf-backend, or the variable CRF_BACKEND: expected own or pydensecrf"):
        use_crf_backend("cuda")


def test_missing_pydensecrf_is_a_line_for_the_user(monkeypatch):
    def missing(name):
        raise ImportError("the module pydensecrf is not installed")

    monkeypatch.setattr(krahenbuhl2013, "set_backend", missing)
    with pytest.raises(UserError, match="--crf-backend pydensecrf: the module pydensecrf is not installed"):
        use_crf_backend("pydensecrf")
    assert use_crf_backend() == "own"  # not needed by a net without a CRF


def test_names_are_those_of_the_package():
    assert krahenbuhl2013.BACKENDS == CRF_BACKENDS

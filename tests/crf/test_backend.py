"""Which implementation krahenbuhl2013 computes with, and who may say so."""

import os
import subprocess
import sys
from pathlib import Path

import krahenbuhl2013
import numpy as np
import pytest

IMAGE, SCORES = np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2, 2))


@pytest.fixture(autouse=True)
def own_afterwards():
    yield
    krahenbuhl2013.set_backend("own")


def test_pydensecrf_gives_the_same(scene):
    pytest.importorskip("pydensecrf")
    scenes = [scene(20, 26, 6, seed) for seed in range(3)]
    images, p = (np.stack(arrays) for arrays in zip(*scenes, strict=True))

    def both(**backend):
        return (
            krahenbuhl2013.CRF_batch(images, p, scale_factor=4.0, **backend),
            krahenbuhl2013.CRF(images[0], p[0], 5, 12.0, 20, **backend),
        )

    ours, theirs = both(backend="own"), both(backend="pydensecrf")
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    assert not np.array_equal(ours[0], theirs[0])  # it is another implementation
    np.testing.assert_array_equal(both()[0], ours[0])
    krahenbuhl2013.set_backend("pydensecrf")
    np.testing.assert_array_equal(both()[0], theirs[0])
    np.testing.assert_array_equal(both(backend="own")[0], ours[0])  # the argument counts first


def test_pydensecrf_refuses_what_ours_refuses():
    pytest.importorskip("pydensecrf")
    with pytest.raises(ValueError, match="unary: expected finite numbers"):
        krahenbuhl2013.CRF(IMAGE, SCORES * np.nan, backend="pydensecrf")


def test_unknown_backend_is_refused():
    message = "backend: expected one of own, pydensecrf, got 'cuda'"
    with pytest.raises(ValueError, match=message):
        krahenbuhl2013.CRF(IMAGE, SCORES, backend="cuda")
    with pytest.raises(ValueError, match=message):
        krahenbuhl2013.set_backend("cuda")
    krahenbuhl2013.CRF(IMAGE, SCORES)  # as before


def test_missing_pydensecrf_is_one_clear_line_at_once(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydensecrf", None)
    monkeypatch.delitem(sys.modules, "krahenbuhl2013._pydensecrf", raising=False)
    monkeypatch.delattr(krahenbuhl2013, "_pydensecrf", raising=False)
    for call in (
        lambda: krahenbuhl2013.set_backend("pydensecrf"),
        lambda: krahenbuhl2013.CRF(IMAGE, SCORES, backend="pydensecrf"),
    ):
        with pytest.raises(ImportError, match="^CRF backend 'pydensecrf': the module pydensecrf is not installed"):
            call()


def test_the_package_reads_no_variable_for_its_backend(monkeypatch):
    monkeypatch.setenv("CRF_BACKEND", "nonsense")
    krahenbuhl2013.CRF(IMAGE, SCORES)
    for path in (Path(__file__).resolve().parents[2] / "CRF" / "python").rglob("*.py"):
        assert "environ" not in path.read_text(), path


def test_unknown_instruction_set_is_refused():
    program = "import numpy as np, krahenbuhl2013 as k; k.CRF(np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2, 2)))"
    run = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "CRF_ISA": "mmx"}, capture_output=True, text=True
    )
    assert "CRF_ISA: expected one of" in run.stderr
    assert "got 'mmx'" in run.stderr

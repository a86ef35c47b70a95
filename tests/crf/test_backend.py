"""CRF_BACKEND: which implementation krahenbuhl2013 computes with."""

import os
import subprocess
import sys

import krahenbuhl2013
import numpy as np
import pytest


def test_pydensecrf_gives_the_same(scene, monkeypatch):
    pytest.importorskip("pydensecrf")
    scenes = [scene(20, 26, 6, seed) for seed in range(3)]
    images, p = (np.stack(arrays) for arrays in zip(*scenes, strict=True))
    ours = krahenbuhl2013.CRF_batch(images, p, scale_factor=4.0), krahenbuhl2013.CRF(images[0], p[0], 5, 12.0, 20)
    monkeypatch.setenv("CRF_BACKEND", "pydensecrf")
    theirs = krahenbuhl2013.CRF_batch(images, p, scale_factor=4.0), krahenbuhl2013.CRF(images[0], p[0], 5, 12.0, 20)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    assert not np.array_equal(ours[0], theirs[0])  # it is another implementation


def test_pydensecrf_refuses_what_ours_refuses(monkeypatch):
    pytest.importorskip("pydensecrf")
    monkeypatch.setenv("CRF_BACKEND", "pydensecrf")
    with pytest.raises(ValueError, match="unary: expected finite numbers"):
        krahenbuhl2013.CRF(np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 2), np.nan))


def test_unknown_backend_is_refused(monkeypatch):
    monkeypatch.setenv("CRF_BACKEND", "cuda")
    with pytest.raises(ValueError, match="CRF_BACKEND: expected densecrf or pydensecrf, got 'cuda'"):
        krahenbuhl2013.CRF(np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2, 2)))


def test_missing_pydensecrf_is_one_clear_line():
    program = (
        "import sys; sys.modules['pydensecrf'] = None\n"
        "import numpy as np, krahenbuhl2013\n"
        "try: krahenbuhl2013.CRF(np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2, 2)))\n"
        "except ImportError as error: print(error)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "CRF_BACKEND": "pydensecrf"},
        capture_output=True,
        text=True,
    )
    assert run.stdout.startswith("CRF_BACKEND=pydensecrf: the module pydensecrf is not installed; pip install"), run


def test_unknown_instruction_set_is_refused():
    program = "import numpy as np, krahenbuhl2013 as k; k.CRF(np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2, 2)))"
    run = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "CRF_ISA": "mmx"}, capture_output=True, text=True
    )
    assert "CRF_ISA: expected one of" in run.stderr
    assert "got 'mmx'" in run.stderr

"""Scenes for the tests of the CRF."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

DATA = Path(__file__).resolve().parents[1] / "data" / "crf"


def make_scene(height, width, labels, seed=0):
    """A smooth noisy image (H, W, 3) uint8 and probabilities (H, W, M) float32."""
    rng = np.random.default_rng(seed)
    base = np.stack([gaussian_filter(rng.random((height, width)), max(1, height / 10)) for _ in range(3)], -1)
    base = (base - base.min()) / max(np.ptp(base), 1e-9) * 200
    image = np.clip(base + rng.normal(0, 12, base.shape), 0, 255).astype(np.uint8)
    logits = 2 * rng.standard_normal((height, width, labels))
    p = np.exp(logits)
    return image, (p / p.sum(-1, keepdims=True)).astype(np.float32)


@pytest.fixture
def scene():
    """Function (height, width, labels, seed=0) -> image, probabilities."""
    return make_scene


def golden(path):
    """Arrays and the call of a golden file."""
    with np.load(path) as arrays:
        return {k: arrays[k] for k in arrays.files if k != "meta"}, json.loads(str(arrays["meta"]))


@pytest.fixture
def crf_data():
    """Folder of the small golden files, and their reader."""
    return DATA, golden

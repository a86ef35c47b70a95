"""Fixtures of the engine's tests."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_files():
    """Folder of small files that real Caffe wrote: weights, states, a mean, pictures, samples of pycaffe."""
    return Path(__file__).resolve().parents[1] / "data" / "caffe" / "files"

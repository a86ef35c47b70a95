"""Digests of what stages read: of regular files alone."""

import os

import pytest

from dsrg.pipeline.digests import MISSING, DigestCache


@pytest.mark.parametrize("kind", ["folder", "device", "fifo", "circle"])
def test_what_is_no_regular_file_counts_as_missing_and_is_not_read(tmp_path, kind):
    """A photo that links to /dev/zero would be read without end, a FIFO waited for."""
    path = tmp_path / "photo.jpg"
    {"folder": path.mkdir, "device": lambda: path.symlink_to("/dev/null"), "fifo": lambda: os.mkfifo(path),
     "circle": lambda: path.symlink_to(path)}[kind]()
    cache = DigestCache(tmp_path / "cache")
    assert (cache.digest(path), cache.files_read) == (MISSING, 0)

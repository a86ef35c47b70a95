"""The flow of photos: what it holds does not grow with the photos that have passed."""

import gc
import os
import tracemalloc

import numpy as np

from dsrg.io import free_memory
from dsrg.scoring.photo_pipeline import GIVE_BACK, score_photos
from dsrg.scoring.recipe import Recipe


class Net:
    """Scores of two classes."""

    def scores(self, values, flip):
        return np.zeros((2, 3, 3), np.float32)


def test_photos_that_have_passed_hold_no_memory(tmp_path):
    photos = {str(k): tmp_path / f"a-photo-with-a-long-name-{k:05d}.jpg" for k in range(1200)}
    gray = np.full((9, 9, 3), 128, np.uint8)

    def load(image_id, path):
        os.path.exists(path)
        return gray

    held = []
    tracemalloc.start()
    try:
        for k, _ in enumerate(score_photos(Net(), photos, lambda *_: None, Recipe(sizes=(9,)), 1, load)):
            if k in (200, 1100):
                gc.collect()
                held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert (held[1] - held[0]) / 900 < 40, "bytes a photo"


def test_freed_memory_goes_back_every_so_many_photos(monkeypatch):
    """Without it, gaps between blocks of many sizes let a process grow for hours that holds no more than before."""
    given_back = []
    monkeypatch.setattr(free_memory, "give_back", lambda: given_back.append(None))
    photos, gray = dict.fromkeys(map(str, range(3 * GIVE_BACK - 1)), "a.jpg"), np.zeros((9, 9, 3), np.uint8)
    ids = list(score_photos(Net(), photos, lambda *_: None, Recipe(sizes=(9,)), 1, lambda *_: gray))
    assert ids == list(photos) and len(given_back) == 2

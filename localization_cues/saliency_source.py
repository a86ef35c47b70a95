"""What the background rules and the gate look at besides the class maps, made photo by photo."""

import itertools

from dsrg.io.image_ids import file_of
from dsrg.io.workers import Processes
from dsrg.saliency.background_detection import photo_saliency

AHEAD = 16  # photos a process, so that maps that wait for the net take a bounded room


class SaliencySource:
    """Saliency maps at the cue size, computed ahead by a pool of processes; None for all when not wanted.

    Parameters
    ----------
    photos : iterable of ListedPhoto
        In the order in which they will be asked for.
    size : (int, int)
    folder : path, optional
        Read `<id>.png` there instead of computing.
    """

    def __init__(self, photos, size, folder, workers, wanted):
        self._pool, self._futures = None, {}
        if wanted:
            self._pool = Processes(workers)
            self._size, self._folder, self._photos = size, folder, iter(photos)
            for photo in itertools.islice(self._photos, AHEAD * workers):
                self._submit(photo)

    def _submit(self, photo):
        map_path = self._folder and file_of(self._folder, photo.id)
        self._futures[photo.id] = self._pool.submit(photo_saliency, photo.path, self._size, map_path)

    def __call__(self, photo):
        """The map of one photo; photos are asked for in their order."""
        if not self._pool:
            return None
        for following in itertools.islice(self._photos, 1):
            self._submit(following)
        return self._futures.pop(photo.id).result()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self._pool:
            self._pool.shutdown(wait=True, cancel_futures=True)

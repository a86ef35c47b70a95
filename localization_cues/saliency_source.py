"""What the background rules and the gate look at besides the class maps, made photo by photo."""

import itertools
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

from dsrg.saliency.background_detection import photo_saliency

AHEAD = 16  # photos a process, so that maps that wait for the net take a bounded room


class SaliencySource:
    """Saliency maps at the cue size, computed ahead by a pool of processes; None for all when not wanted."""

    def __init__(self, paths, size, folder, workers, wanted):
        self._pool, self._futures = None, {}
        if wanted:
            # The net's threads do not survive a fork, so the processes start afresh.
            self._pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))
            self._settings, self._paths = (size, folder), iter(paths)
            for path in itertools.islice(self._paths, AHEAD * workers):
                self._submit(path)

    def _submit(self, path):
        self._futures[path] = self._pool.submit(photo_saliency, path, *self._settings)

    def __call__(self, path):
        """The map of one photo; photos are asked for in their order."""
        if not self._pool:
            return None
        for following in itertools.islice(self._paths, 1):
            self._submit(following)
        return self._futures.pop(path).result()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self._pool:
            self._pool.shutdown(wait=True, cancel_futures=True)

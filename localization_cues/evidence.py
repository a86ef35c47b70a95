"""What the background rules and the gate look at besides the class maps, made photo by photo."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

from localization_cues.saliency import photo_saliency


class SaliencySource:
    """Saliency maps at the cue size, computed ahead by a pool of processes; None for all when not wanted."""

    def __init__(self, paths, size, folder, workers, wanted):
        self._pool, self._futures = None, {}
        if wanted:
            # The net's threads do not survive a fork, so the processes start afresh.
            self._pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))
            self._futures = {path: self._pool.submit(photo_saliency, path, size, folder) for path in paths}

    def __call__(self, path):
        return self._futures.pop(path).result() if self._pool else None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self._pool:
            self._pool.shutdown(wait=True, cancel_futures=True)

"""What the background rules and the gate look at besides the class maps, made photo by photo."""

from functools import partial

from dsrg.io.image_ids import file_of
from dsrg.io.workers import in_order
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
    workers : int
        Processes; 1 computes in this one, when a map is asked for.
    wanted : bool
    """

    def __init__(self, photos, size, folder, workers, wanted):
        make = partial(_map, size=size, folder=folder)
        self._maps = in_order(make, photos, workers, waiting=AHEAD) if wanted else None

    def __call__(self, photo):
        """The map of one photo, float (h, w) from 0 to 1; photos are asked for in their order."""
        if self._maps is None:
            return None
        image_id, saliency = next(self._maps)
        if image_id != photo.id:
            raise ValueError(f"the next photo is '{image_id}', asked for was '{photo.id}'")
        return saliency

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self._maps is not None:
            self._maps.close()


def _map(photo, size, folder):
    return photo.id, photo_saliency(photo.path, size, folder and file_of(folder, photo.id))

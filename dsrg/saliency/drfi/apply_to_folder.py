"""Maps of a folder of photos, as 8-bit PNGs that make_cues --saliency-maps reads."""

from functools import partial

import cv2
import numpy as np

from dsrg.io.image_ids import file_of
from dsrg.io.photos import load_image_bgr, write_picture
from dsrg.io.process_share import ALONE
from dsrg.io.progress_bar import progress
from dsrg.io.workers import in_order
from dsrg.saliency.drfi.model import load_model
from dsrg.saliency.drfi.photo_map import saliency_map

_model = None   # of a worker process: read once, used for all its photos


def apply(photos, model_path, out, enhance=False, workers=1, ranks=ALONE):
    """Write `<out>/<id>.png` (gray, 255 = salient, of the photo's size) for each photo (dict of id to Path).

    Parameters
    ----------
    photos : dict of str to Path
    model_path : path
    out : path
    enhance : bool
        As of saliency_map.
    workers : int
        Processes.
    ranks : Ranks, optional
        The processes that share the photos.

    Raises
    ------
    UserError
        A model or a photo that cannot be read, or a map that cannot be written.
    """
    load_model(model_path)  # what is wrong with it is said here, once
    jobs = [(path, file_of(out, image_id)) for image_id, path in ranks.share(photos).items()]
    done = in_order(partial(write_map, enhance=enhance), jobs, workers, _open, (model_path,))
    for _ in progress(done, "DRFI", len(jobs)):
        pass
    ranks.wait()


def _open(model_path):
    global _model
    cv2.setNumThreads(1)
    _model = load_model(model_path)


def write_map(job, enhance):
    """Write the map of one photo.

    Parameters
    ----------
    job : (path, path)
        The photo and the file to write.
    enhance : bool
    """
    photo, target = job
    gray = np.rint(255 * saliency_map(load_image_bgr(photo), _model, enhance)).astype(np.uint8)
    write_picture(target, gray)

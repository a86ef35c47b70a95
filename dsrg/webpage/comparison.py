"""A photo segmented by every stage of a run, with and without the CRF, as pictures and numbers for a page."""

import base64
import io
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
from PIL import Image

from dsrg.calibration.temperature import scaled_softmax
from dsrg.io import voc
from dsrg.io.errors import UserError
from dsrg.io.pictures import read_picture
from dsrg.io.workers import available_cpus
from dsrg.model import load
from dsrg.report.mask_overlay import share_of_classes
from dsrg.scoring.run_model import TITLES, find_model, segmented_stages
from dsrg.scoring.segment_photos import require_crf

SHOWN_SIDE = 1200     # pixels of the pictures' longer side
SCORES_SIDE = 64      # cells of the probabilities under the pointer
JPEG_QUALITY = 90


class Comparison:
    """The models of a run, which work one photo at a time on a thread of their own: Caffe's mode is a thread's.

    Parameters
    ----------
    run : path
    stage : str, optional
        This one alone; by default all that the run has segmented with.
    changes : dict
        Arguments of Recipe.changed.
    temperature : float, optional
        Of the probabilities; by default what the run has fitted.
    **machine
        device, precision, allow_random, crf_backend, as of dsrg.load.

    Attributes
    ----------
    stages : dict of str to str
        Stage -> what the page calls it.
    classes : list of str
        In index order, background first.

    Raises
    ------
    UserError
        As of dsrg.load.
    """

    def __init__(self, run, stage=None, changes=None, temperature=None, **machine):
        names = [stage] if stage else segmented_stages(run)
        if not names:
            find_model(run)         # says what is missing
        require_crf()
        self._net_thread = ThreadPoolExecutor(1, "net")
        self._models = {}
        for name in names:
            model = self._net_thread.submit(load, run, name, **machine).result()
            model = model.with_temperature(temperature) if temperature else model
            self._models[name] = model.changed(**changes or {})
        self.stages = {name: TITLES[name] for name in names}
        self.classes = list(next(iter(self._models.values())).class_names)

    def close(self):
        """End the thread; what waits for it is dropped."""
        self._net_thread.shutdown(cancel_futures=True)

    def photo(self, data, name):
        """What the page shows of an uploaded file.

        Parameters
        ----------
        data : bytes
            Of the file.
        name : str

        Returns
        -------
        dict
            photo (data URL, JPEG, upright, longer side at most SHOWN_SIDE), width, height of the photo itself.

        Raises
        ------
        UserError
            No picture, cut off, or too many pixels.
        """
        rgb = read_picture(data, name).rgb
        height, width = rgb.shape[:2]
        shown = _url(Image.fromarray(_shrunk(rgb, cv2.INTER_AREA)), "jpeg", quality=JPEG_QUALITY)
        return {"photo": shown, "width": width, "height": height}

    def segment(self, stage, data, name):
        """The label maps of a photo by one stage.

        Parameters
        ----------
        stage : str
            Of the run, such as "s" or "f".
        data : bytes
            The picture's file.
        name : str
            Its name, for messages.

        Returns
        -------
        dict
            maps: two dicts, without and with the CRF: "crf" (bool), "file" (data URL of an index PNG at the photo's
            size, upright), "map" (the same at the size of the picture that is shown: a browser would hold eight maps
            of a camera's photo as 32 bits a pixel), "shares" (a number a class).
            scores: probability of each class before the CRF, on a grid: "width", "height", "values" (base64 of bytes,
            255 for 1, class by class within a cell), "calibrated" (bool), "says" (text: whence the temperature is).

        Raises
        ------
        UserError
            As of `photo`, a stage that is not there, scores that are not finite.
        """
        model = self._models.get(stage)
        if model is None:
            raise UserError(f"stage '{stage}': this run has {', '.join(self._models)}")
        picture = read_picture(data, name)
        scored = self._net_thread.submit(model.score, picture).result()
        with ThreadPoolExecutor(min(2, available_cpus())) as pool:
            results = list(pool.map(lambda crf: model.label(scored, crf), (False, True)))
        maps = []
        for crf, result in zip((False, True), results, strict=True):
            labels = result.upright_labels()
            maps.append({"crf": crf, "file": _index_png(labels),
                         "map": _index_png(_shrunk(labels, cv2.INTER_NEAREST_EXACT)),
                         "shares": share_of_classes(labels, len(self.classes)).tolist()})
        return {"maps": maps, "scores": _cells(scored.scores, model.calibration.temperature(model.recipe, crf=False))}


def _cells(scores, temperature):
    values = scaled_softmax(scores, temperature.value)
    small = np.stack([_shrunk(np.ascontiguousarray(values[:, :, k]), cv2.INTER_AREA, SCORES_SIDE)
                      for k in range(values.shape[2])], axis=2)
    height, width = small.shape[:2]
    coded = np.rint(255 * np.clip(small, 0, 1)).astype(np.uint8)
    return {"width": width, "height": height, "values": base64.b64encode(coded.tobytes()).decode(),
            "calibrated": temperature.calibrated, "says": temperature.line()}


def _shrunk(array, interpolation, side=SHOWN_SIDE):
    height, width = array.shape[:2]
    factor = side / max(height, width)
    if factor >= 1:
        return array
    return cv2.resize(array, (max(1, round(width * factor)), max(1, round(height * factor))),
                      interpolation=interpolation)


def _index_png(labels):
    image = Image.fromarray(labels)
    image.putpalette(voc.palette().tobytes())
    return _url(image, "png", transparency=0)       # background shows the photo


def _url(image, kind, **options):
    file = io.BytesIO()
    image.save(file, format=kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"

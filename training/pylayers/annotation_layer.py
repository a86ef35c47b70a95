"""AnnotationLayer: image numbers become labels and cues; photos and cues are mirrored together."""

from dataclasses import dataclass, field
from pathlib import Path

import caffe
import numpy as np

from dsrg.cuefile.format import CueError, load_cues
from dsrg.cuefile.scarce_classes import cells_of_classes, scarce_text
from dsrg.io.class_names import read_classes
from dsrg.io.errors import UserError, note
from dsrg.supervision.annotation import dense_annotation, mirrored

from .contract import base_seed, expect_blobs, expect_shape, height_width, process_share, read_params, title
from .tensor_face import on_device, on_host

CLASS_LIST = "lists/classes.txt"    # of a run folder; names classes in messages
CUE_FOLDERS = (".", "localization_cues", "cues")    # where a bare file name is looked for, in this order


@dataclass(frozen=True)
class AnnotationParams:
    """File `cues`, random `mirror`, `classes` with background, `size` of the map or [height, width]."""

    cues: str
    mirror: bool = False
    classes: int = 21
    size: tuple = field(default=(41, 41), metadata={"convert": height_width})


@dataclass(frozen=True)
class AnnotationParamsCOCO(AnnotationParams):
    """The same with COCO's 81 classes."""

    classes: int = 81


class AnnotationLayer(caffe.Layer):
    """Looks up the annotation of each image by its number, the second column of input_list.txt.

    =========  =========  ==============  ==========================================================
    blob       name       shape           content
    =========  =========  ==============  ==========================================================
    bottom[0]  image ids  (N,) or more    whole numbers; gradient: none
    bottom[1]  images     (N, 3, H', W')  photos; gradient: none
    top[0]     labels     (N, 1, 1, C)    1 for background and the image's classes, else 0
    top[1]     cues       (N, C, H, W)    1 where the cue file has a cue, else 0
    top[2]     images     (N, 3, H', W')  the photos, mirrored where their cues are
    =========  =========  ==============  ==========================================================

    `classes` and `size` are the original's 21 and 41 unless the param_str says otherwise: a cue file of few
    images need not name every class, so they do not determine it. With `mirror`, each image of each batch is
    flipped with probability 1/2; the flips depend on numpy's seed and the number of the batch alone.
    """

    PARAMS = AnnotationParams

    def configure(self, bottom, top):
        """The part of setup that opens no file: all that reshape needs."""
        self.params = read_params(self, self.PARAMS)
        expect_blobs(self, bottom, top, ("image ids", "images"), ("labels", "cues", "images"))

    def setup(self, bottom, top):
        self.configure(bottom, top)
        self._cues = self._load(_find(self.params.cues))
        self._seed = base_seed()
        self._tick = 0

    def _load(self, path):
        """The cue file, checked against the number of classes and the size of the map."""
        try:
            cues = load_cues(path)
            cues.check(self.params.classes, self.params.size, overlaps=False)
        except CueError as error:
            raise UserError(f"{title(self)}: {error} (param_str: classes {self.params.classes}, "
                             f"size {list(self.params.size)})") from None
        bare = cues.without_cues()
        if bare:
            raise UserError(f"{title(self)}: {path}: image {bare[0]} has no cue at all, one of {len(bare)}; "
                             "make the cues again with a lower threshold, or take it out of the training list")
        self._name_scarce_classes(cues, path)
        return cues

    def _name_scarce_classes(self, cues, path):
        """Say before the training which classes have no cue or hardly any; one process of several does."""
        text = scarce_text(cells_of_classes(cues, self.params.classes), _class_names(self.params.classes))
        if text and process_share(caffe)[0] == 0:
            note(f"note: {title(self)}: {path}: {text}")

    def seek(self, forwards):
        """Go on as if `forwards` batches had passed: a resumed run mirrors like an unbroken one."""
        self._tick = forwards

    def reshape(self, bottom, top):
        expect_shape(self, bottom, 1, "images", (None, None, None, None), "(N, channels, height, width)",
                     "give it the data layer's first top")
        count = bottom[1].shape[0]
        if bottom[0].count != count:
            raise UserError(f"{title(self)}: bottom[0] 'image ids' is {tuple(bottom[0].shape)}, expected "
                             f"{count} numbers, one for each image of bottom[1]; the data layer's label")
        top[0].reshape(count, 1, 1, self.params.classes)
        top[1].reshape(count, self.params.classes, *self.params.size)
        top[2].reshape(*bottom[1].shape)

    def forward(self, bottom, top):
        images = bottom[1].data
        labels, cues, flips = self._next(bottom[0].data, len(images))
        top[0].data[...] = labels
        top[1].data[...] = cues
        top[2].data[...] = mirrored(images, flips)

    def forward_tensors(self, image_ids, images):
        labels, cues, flips = self._next(on_host(image_ids), len(images))
        flips = on_device(flips, images.device).bool()[:, None, None, None]
        return on_device(labels, images.device), on_device(cues, images.device), images.flip(3).where(flips, images)

    def _next(self, image_ids, count):
        """Labels (N, 1, 1, C), cues (N, C, H, W), flipped already, and which images to flip, of the next batch."""
        flips = np.zeros(count, dtype=bool)
        if self.params.mirror:
            rng = np.random.default_rng([self._seed, self._tick, process_share(caffe)[0]])
            flips = rng.integers(2, size=count) == 1
        self._tick += 1
        annotations = [self._annotation(image_id) for image_id in image_ids.ravel()]
        labels, cues = dense_annotation(annotations, self.params.classes, self.params.size)
        return labels[:, None, None], mirrored(cues, flips), flips

    def _annotation(self, image_id):
        """(labels, cues) of one image of the batch."""
        try:
            return self._cues[int(image_id)]
        except KeyError:
            raise UserError(
                f"{title(self)}: image {int(image_id)} is not among the {len(self._cues)} of "
                f"{self._cues.source}; the file belongs to another list: make the cues for this one, or take "
                "the image out of it"
            ) from None

    def backward(self, top, propagate_down, bottom):
        for k in range(2):
            if propagate_down[k]:
                bottom[k].diff[...] = 0

    def backward_tensors(self, top_diffs, propagate_down):
        return None, None


class AnnotationLayerCOCO(AnnotationLayer):
    """AnnotationLayer with 81 classes; same blobs, same cue file."""

    PARAMS = AnnotationParamsCOCO


def _find(name):
    """The cue file: the path as given, or for a bare name the first of CUE_FOLDERS that holds it."""
    path = Path(name)
    if path.name == name:
        return next((p for p in (Path(folder) / name for folder in CUE_FOLDERS) if p.is_file()), path)
    return path


def _class_names(count):
    """Names of the classes for messages, or None where the run has no list of so many."""
    try:
        names = read_classes(CLASS_LIST)
    except UserError:
        return None
    return names if len(names) == count else None

"""A trained network as one object.

    from dsrg import load
    result = load("work/demo").segment("photo.jpg")
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike

import numpy as np
from PIL import Image

from dsrg.calibration.record import NOT_FITTED, Calibration, Temperature, given
from dsrg.crf_backend import OWN
from dsrg.find_caffe import the_caffe
from dsrg.io.orientation import upright
from dsrg.io.pictures import Picture, as_in_file, read_picture
from dsrg.report import mask_overlay
from dsrg.scoring.multiscale import fuse_scores, label_map, marginals
from dsrg.scoring.photo_pipeline import Photo, check_scores, prepared
from dsrg.scoring.recipe import Recipe
from dsrg.scoring.run_model import RunModel, find_model
from dsrg.scoring.score_net import ScoreNet, open_net
from dsrg.scoring.scores_file import class_probabilities
from dsrg.scoring.segment_photos import require_crf
from dsrg.scoring.settings_in_force import machine_settings


@dataclass(frozen=True)
class Segmentation:
    """What a network says of one photo.

    Attributes
    ----------
    labels : ndarray of uint8, shape (H, W)
        Class index of every pixel, in the rows and columns of the photo as it was given: of a file that EXIF turns,
        those of the file.
    scores : ndarray of float32, shape (h, w, C)
        Scores before softmax and CRF, summed over the inputs, of the upright photo at the size it was scored at
        (H, W unless its longer side is above the recipe's max_side).
    class_names : tuple of str
        In index order, background first.
    image : ndarray of uint8, shape (H, W, 3)
        The photo, RGB, in the order of `labels`.
    orientation : int
        EXIF's, 1 to 8; 1 for arrays.
    temperature : Temperature
        What `probabilities` are scaled by, and whether they are calibrated.
    marginals : ndarray of float32, shape (h, w, C), or None
        The CRF's, where it has decided; before any temperature.
    """

    labels: np.ndarray
    scores: np.ndarray
    class_names: tuple[str, ...]
    image: np.ndarray
    orientation: int = 1
    temperature: Temperature = NOT_FITTED
    marginals: np.ndarray | None = None

    def probabilities(self) -> np.ndarray:
        """How likely each class is at each pixel; the likeliest is the one in the label map.

        Where `temperature.calibrated`, of the pixels at which a class has probability p about the share p is labelled
        with it, counted over photos like the run's train photos and by its pseudo-labels.

        Returns
        -------
        float32 array (h, w, C)
            Of the upright photo, at the size of `scores`; 0 to 1, summing to 1.
        """
        return class_probabilities(self.scores, self.temperature.value, self.marginals)

    def shares(self) -> dict[str, float]:
        """Share of the pixels of each class, of all classes, by name."""
        shares = mask_overlay.share_of_classes(self.labels, len(self.class_names))
        return dict(zip(self.class_names, shares.tolist(), strict=True))

    def upright_labels(self) -> np.ndarray:
        """The labels in the rows and columns of the upright photo."""
        return np.ascontiguousarray(upright(self.labels, self.orientation))

    def overlay(self, legend: bool = True) -> np.ndarray:
        """The classes' colours over the upright photo, uint8 RGB.

        With the legend, at a size to look at (480 to 1600 pixels) and with names and shares below; without, at the
        photo's own size.

        Parameters
        ----------
        legend : bool

        Returns
        -------
        uint8 array (h, w, 3)
        """
        image, labels = np.ascontiguousarray(upright(self.image, self.orientation)), self.upright_labels()
        if not legend:
            return mask_overlay.overlay(image, labels)
        return mask_overlay.overlay_with_legend(image, labels, self.class_names)


@dataclass(frozen=True)
class Scored:
    """A photo with its scores, for the label maps with and without the CRF.

    Attributes
    ----------
    picture : dsrg.io.pictures.Picture
    photo : dsrg.scoring.photo_pipeline.Photo
        As it was scored.
    scores : ndarray of float32, shape (h, w, C)
        As of Segmentation.
    """

    picture: Picture
    photo: Photo
    scores: np.ndarray


@dataclass(frozen=True)
class Model:
    """A network with all it needs to segment photos; not for several threads at a time.

    Attributes
    ----------
    class_names : tuple of str
        In index order, background first.
    recipe : Recipe
        How photos become label maps; `changed` gives a model that does otherwise.
    net : ScoreNet
    files : RunModel
        Where net and weights came from.
    machine : dict
        Precision, engine and backends in force.
    calibration : Calibration
        What the run knows of the probabilities.
    """

    class_names: tuple[str, ...]
    recipe: Recipe
    net: ScoreNet
    files: RunModel
    machine: dict
    calibration: Calibration = Calibration()

    @property
    def temperature(self) -> Temperature:
        """Temperature: what probabilities are scaled by, and whether they are calibrated then."""
        return self.calibration.temperature(self.recipe)

    def with_temperature(self, value: float) -> "Model":
        """The same network with a temperature of the caller's; its probabilities are not called calibrated.

        Parameters
        ----------
        value : float
            Above 0.

        Returns
        -------
        Model
        """
        return replace(self, calibration=Calibration(fixed=given(value)))

    def changed(self, **values) -> "Model":
        """The same network with another recipe.

        Parameters
        ----------
        **values
            Fields of the recipe, as of Recipe.changed: None leaves one as it is.

        Returns
        -------
        Model
            Shares the net with this one.

        Raises
        ------
        UserError
            An output_blob that the net does not have.
        """
        recipe = self.recipe.changed(**values)
        return replace(self, recipe=recipe, net=ScoreNet(self.net.net, recipe.output_blob))

    def segment(self, image: str | PathLike | bytes | Image.Image | np.ndarray) -> Segmentation:
        """Segment one photo.

        Parameters
        ----------
        image : path, bytes of a file, PIL image, or ndarray of uint8 (H, W, 3) RGB or (H, W) gray
            Files and PIL images are turned upright as EXIF says before they are scored.

        Returns
        -------
        Segmentation

        Raises
        ------
        UserError
            No picture, one that is cut off or too large, or scores that are not finite.
        """
        return self.label(self.score(image))

    def score(self, image: str | PathLike | bytes | Image.Image | np.ndarray) -> Scored:
        """Score one photo, for `label`: the part of `segment` that takes the net.

        Parameters
        ----------
        image
            As of `segment`, or a Picture that is read already.

        Returns
        -------
        Scored

        Raises
        ------
        UserError
            As of `segment`.
        """
        picture = image if isinstance(image, Picture) else read_picture(image)
        photo, inputs = prepared(np.ascontiguousarray(picture.rgb[:, :, ::-1]), self.recipe)
        maps = [self.net.scores(values, self.recipe.flip) for values in inputs]
        check_scores(str(image) if isinstance(image, str | PathLike) else "image", maps)
        return Scored(picture, photo, fuse_scores(maps, *photo.image_bgr.shape[:2]))

    def label(self, scored: Scored, crf: bool | None = None) -> Segmentation:
        """The label map of what `score` gave; `crf` says whether the dense CRF decides, by default as the recipe.

        Parameters
        ----------
        scored : Scored
        crf : bool, optional

        Returns
        -------
        Segmentation
        """
        crf = self.recipe.crf if crf is None else crf
        image, backend = scored.photo.image_bgr if crf else None, self.machine["crf_backend"]
        refined = marginals(scored.scores, image, None, self.recipe.crf_scale, backend) if crf else None
        labels = label_map(scored.scores, image, size=scored.photo.size, refined=refined)
        picture = scored.picture
        labels, rgb = (np.ascontiguousarray(as_in_file(array, picture.orientation)) for array in (labels, picture.rgb))
        return Segmentation(labels, scored.scores, self.class_names, rgb, picture.orientation,
                            self.calibration.temperature(self.recipe, crf), refined)


def load(run: str | PathLike, stage: str | None = None, device: str = "cpu", precision: str | None = None,
         allow_random: Sequence[str] = (), crf_backend: str = OWN) -> Model:
    """Load the network of a run, with the settings its own segmentations were made with.

    Parameters
    ----------
    run : path
        Folder of a run, such as work/demo, that has come to the stages label or segment.
    stage : str, optional
        f, s, static or full (the fully supervised reference); by default f where it was segmented, else s.
    device : str
        cpu, or the number of a GPU.
    precision : str, optional
        auto, fp32, tf32 or bf16; by default that of the run's segmentations.
    allow_random : sequence of str
        Layers with parameters that may lack weights.
    crf_backend : str
        What computes the dense CRF, own or pydensecrf.

    Returns
    -------
    Model

    Raises
    ------
    UserError
        No such run, missing weights, weights that do not fit, a device that is not there.

    Examples
    --------
    model = load("work/demo")
    result = model.segment("photo.jpg")
    result.labels.shape, result.shares()["cow"]
    Image.fromarray(result.overlay()).save("overlay.png")
    """
    found = find_model(run, stage)
    if found.recipe.crf:
        require_crf()
    caffe = the_caffe()
    machine = machine_settings(caffe, device, precision or found.precision, crf_backend)
    net = open_net(caffe, found.net, found.weights, device, machine["precision"], allow_random=allow_random)
    return Model(tuple(found.class_names), found.recipe, ScoreNet(net, found.recipe.output_blob), found, machine,
                 Calibration.of_run(run, found.stage, found))

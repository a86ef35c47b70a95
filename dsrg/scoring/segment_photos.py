"""Photos to label maps in a folder: scored, fused, refined, written, as many at a time as there are workers."""

from dsrg.calibration.record import NOT_FITTED
from dsrg.io.counts import few_of
from dsrg.io.errors import UserError
from dsrg.io.image_labels import read_image_labels
from dsrg.io.progress_bar import progress
from dsrg.scoring.multiscale import fuse_scores, label_map, marginals
from dsrg.scoring.photo_pipeline import load_listed, score_photos
from dsrg.scoring.scores_file import save_scores, scores_path


def segment_photos(net, photos, folder, recipe, workers, labels=None, scores_folder=None, crf_backend=None,
                   load=load_listed, on_unreadable=None, temperature=NOT_FITTED, ignore_below=0.0):
    """Write the label map of every photo.

    Parameters
    ----------
    net : ScoreNet
    photos : dict of str to path
        Photo of each image id.
    folder : LabelMapFolder
    recipe : Recipe
    workers : int
        Images whose CRF runs at a time.
    labels : dict of str to list of int, optional
        Classes of each image; it may hold these and background alone.
    scores_folder : path, optional
        Where <id>.npz goes, as of dsrg.scoring.scores_file.
    crf_backend : str, optional
        As of label_map.
    load, on_unreadable : callable, optional
        As of score_photos.
    temperature : Temperature, optional
        Of the probabilities in <id>.npz; label maps do not depend on it.
    ignore_below : float
        As of label_map.
    """
    def finish(image_id, photo, maps):
        classes = allowed_classes(image_id, labels, len(maps[0])) if labels else None
        scores = fuse_scores(maps, *photo.image_bgr.shape[:2])
        image = photo.image_bgr if recipe.crf else None
        refined = None if image is None else marginals(scores, image, classes, recipe.crf_scale, crf_backend)
        if scores_folder:
            save_scores(scores_path(scores_folder, image_id), scores, temperature, refined)
        result = label_map(scores, image, classes, recipe.crf_scale, crf_backend, photo.size, ignore_below,
                           len(maps), refined)
        folder.save(image_id, photo, result)

    done = score_photos(net, photos, finish, recipe, workers, load, on_unreadable)
    for _ in progress(done, f"segment into {folder.folder}", len(photos)):
        pass


def labels_of_all(path, ids):
    """Labels of each image from image_labels.txt; every image needs a line in the file.

    Parameters
    ----------
    path : path
    ids : sequence of str

    Returns
    -------
    dict of str to list of int

    Raises
    ------
    UserError
        A file that cannot be read, or images without a line in it.
    """
    labels = read_image_labels(path)
    without = [image_id for image_id in ids if image_id not in labels]
    if without:
        raise UserError(f"{few_of(without, ids, 'image')} no labels in {path}, the first is "
                        f"'{without[0]}'; add a line for it or take it out of the list")
    return labels


def allowed_classes(image_id, labels, num_classes):
    """Classes that an image may hold: background and its labels.

    Parameters
    ----------
    image_id : str
    labels : dict of str to list of int
    num_classes : int
        That the net scores, with background.

    Returns
    -------
    list of int

    Raises
    ------
    UserError
        A label that the net does not score.
    """
    if max(labels[image_id], default=0) >= num_classes:
        raise UserError(f"image '{image_id}' has label {max(labels[image_id])}, but the net scores "
                        f"{num_classes} classes; the labels and the net belong to different data")
    return [0, *labels[image_id]]


def require_crf():
    """Say at once, not after the first image, that the CRF is not installed."""
    try:
        import krahenbuhl2013  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise UserError(f"the dense CRF is missing ({error}); run bash setup.sh or pass --no-crf") from None

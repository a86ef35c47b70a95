"""The lists, classes and labels of a data root or a run, read as far as they can be, with their faults noted."""

from dataclasses import dataclass, field

from dsrg.datacheck.listed_ids import ImageLabels, read_ids, read_labels
from dsrg.datasets.voc_annotations import labels_from_annotations
from dsrg.datasets.voc_lists import SETS, check_data_root, first_train_set, label_source
from dsrg.io.class_names import read_classes
from dsrg.io.errors import UserError
from dsrg.io.image_ids import file_of


@dataclass
class DataSet:
    """What a data root holds, as far as it could be read.

    Attributes
    ----------
    train, val : list of str
        Ids, each once.
    classes : list of str
        With background; [] where classes.txt cannot be used.
    labels : ImageLabels
    photos : dict of str to Path
    pictures : dict of str to Picture
        Of the photos that can be read.
    masks : dict of str to Picture
        Of the masks that can be read and fit.
    """

    train: list = field(default_factory=list)
    val: list = field(default_factory=list)
    classes: list = field(default_factory=list)
    labels: ImageLabels = field(default_factory=ImageLabels)
    photos: dict = field(default_factory=dict)
    pictures: dict = field(default_factory=dict)
    masks: dict = field(default_factory=dict)

    @property
    def ids(self):
        """Ids of both lists, each once, those of train first."""
        return list(dict.fromkeys([*self.train, *self.val]))


def read_data_root(data, found):
    """The lists, classes and labels of a data root as a DataSet, their faults in `found`.

    Parameters
    ----------
    data : Path
    found : Findings

    Returns
    -------
    DataSet
        Without photos, pictures and masks.

    Raises
    ------
    UserError
        No data root: a folder that is missing, empty or of another layout.
    """
    check_data_root(data)
    content = DataSet()
    try:
        content.train = read_ids(data / SETS / f"{first_train_set(data)}.txt", found)
    except UserError as error:
        found.add("file-unusable", error)
    if (data / SETS / "val.txt").is_file():
        content.val = read_ids(data / SETS / "val.txt", found)
    try:
        source, content.classes = label_source(data, "auto")
    except UserError as error:
        found.add("file-unusable", error)
        return content
    if source == "Annotations":
        content.labels = _labels_from_annotations(data / source, content, found)
    else:
        content.labels = read_labels(data / source, content.classes, found)
    return content


def read_run_lists(lists, found):
    """The lists of a run as a DataSet: what its stage lists made, without the photos that were left out.

    Parameters
    ----------
    lists : Path
        Folder `lists` of the run.
    found : Findings

    Returns
    -------
    DataSet
        Without photos, pictures and masks.
    """
    content = DataSet(read_ids(lists / "train_id.txt", found))
    if (lists / "val_id.txt").is_file() and (lists / "val_id.txt").stat().st_size:
        content.val = read_ids(lists / "val_id.txt", found)
    try:
        content.classes = read_classes(lists / "classes.txt")
    except UserError as error:
        found.add("file-unusable", error)
        return content
    content.labels = read_labels(lists / "image_labels.txt", content.classes, found)
    return content


def _labels_from_annotations(folder, content, found):
    """Labels of the listed photos from VOC's XML; train photos need one, val photos may have one."""
    labels = ImageLabels(source=str(folder))
    for image_id in content.ids:
        if not file_of(folder, image_id, ".xml").is_file():
            continue
        try:
            labels.classes.update(labels_from_annotations(folder, [image_id], content.classes))
        except UserError as error:
            found.add("label-unknown", error, image_id)
            labels.classes[image_id] = None
    return labels


# ---- lists against each other and against labels -----------------------------------------------------------------

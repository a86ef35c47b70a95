"""The whole check of a data set, or of a run with all that it has made of one; its result as text and as JSON."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from dsrg.cuefile.map_size import size_of_json
from dsrg.datacheck.cue_checks import check_cues, photo_numbers
from dsrg.datacheck.data_root import DataSet, read_data_root, read_run_lists
from dsrg.datacheck.data_root_checks import check_copies, check_ids, check_labels, check_masks, check_photos
from dsrg.datacheck.findings import FORMAT, Findings
from dsrg.datacheck.kinds import FAULT, WARNING
from dsrg.datacheck.picture_facts import PictureFacts
from dsrg.datacheck.pseudo_labels import check_pseudo_labels
from dsrg.datasets.left_out import write_left_out
from dsrg.datasets.voc_lists import SETS
from dsrg.io.atomic_files import write_text
from dsrg.io.counts import counted


@dataclass(frozen=True)
class Places:
    """What is to be checked.

    Attributes
    ----------
    data : Path
        A data root in VOC layout.
    masks : Path
        Folder of the true masks; it need not exist.
    lists : Path or None
        The lists of a run, which then count instead of the data root's.
    cues, numbers : Path or None
        A cue file; the list "<photo> <number>" that gives each photo its key in it.
    cue_size : (int, int) or None
        Height and width of the map that cues are for; by default what stands beside the cue file.
    pseudo_labels : Path or None
        Label maps of the train photos.
    """

    data: Path
    masks: Path
    lists: Path | None = None
    cues: Path | None = None
    numbers: Path | None = None
    cue_size: tuple | None = None
    pseudo_labels: Path | None = None

    def files(self):
        """The lists, labels and cues that are read, as far as they are there: list of Path."""
        folders = [self.data, self.data / SETS, *([self.lists] if self.lists else [])]
        listed = [path for folder in folders for path in folder.glob("*.txt")]
        return [*listed, *(path for path in (self.cues, self.numbers) if path is not None)]


def places_of_data_root(data):
    """The Places of a data root.

    Parameters
    ----------
    data : Path

    Returns
    -------
    Places
        With no lists, cues or pseudo-labels; `numbers` where there is an image_ids.txt.
    """
    numbers = data / "image_ids.txt"
    return Places(data, data / "SegmentationClass", numbers=numbers if numbers.is_file() else None)


def places_of_run(run):
    """The Places of a run's folder, as far as its stages have come.

    Parameters
    ----------
    run : Path

    Returns
    -------
    Places
        None for what is not made yet.
    """
    lists = run / "lists"
    made = (lists / "train_id.txt").is_file()
    cues = next((path for path in sorted((run / "cues").glob("localization_cues*"))
                 if path.suffix in (".npz", ".pickle", ".pkl")), None)
    labels = run / "labels"
    return Places(run / "data", run / "masks", lists if made else None, cues if made else None,
                  lists / "input_list.txt" if made else None,
                  pseudo_labels=labels if made and labels.is_dir() else None)


@dataclass
class Checked:
    """What a check found.

    Attributes
    ----------
    target : str
        What was checked, as the user named it.
    found : Findings
    content : DataSet
    cues, pseudo_labels : int or None
        Entries of the cue file, label maps; None where there are none to check.
    pictures_read : int
        Photos and masks that were decoded, the others being known from the last time.
    skip_bad : bool
    """

    target: str
    found: Findings
    content: DataSet = field(default_factory=DataSet)
    cues: int | None = None
    pseudo_labels: int | None = None
    pictures_read: int = 0
    skip_bad: bool = False

    @property
    def left_out(self):
        """Photo -> kinds of faults, of the photos that the lists are to leave out."""
        return self.found.left_out(self.skip_bad)

    @property
    def stops(self):
        """Whether a run cannot go on."""
        return self.found.stopping(self.skip_bad) > 0

    def record(self):
        """What the JSON holds."""
        content = self.content
        labels = content.labels.classes
        count = {part: [labels.get(i) or () for i in ids] for part, ids in (("train", content.train),
                                                                            ("val", content.val))}
        classes = [{"index": index, "name": name, **{part: sum(index in known for known in rows)
                                                     for part, rows in count.items()},
                    "masks": sum(index in mask.values for mask in content.masks.values())}
                   for index, name in enumerate(content.classes)]
        return {"format": FORMAT, "target": self.target, "ok": not self.stops,
                "faults": self.found.count(FAULT), "warnings": self.found.count(WARNING),
                "photos": {"train": len(content.train), "val": len(content.val)}, "masks": len(content.masks),
                "cues": self.cues, "pseudo_labels": self.pseudo_labels, "pictures_read": self.pictures_read,
                "classes": classes, "findings": self.found.records(), "left_out": self.left_out}

    def text(self):
        """Lines for the user: what there is, then every kind of fault and warning, and what follows from them."""
        content = self.content
        there = [f"{counted(len(content.train), 'train photo')} and {counted(len(content.val), 'val photo')}",
                 f"{counted(len(content.classes), 'class', 'classes')} with background",
                 counted(len(content.masks), "mask")]
        there += [f"cues of {counted(self.cues, 'photo')}"] if self.cues is not None else []
        there += [counted(self.pseudo_labels, "pseudo-label")] if self.pseudo_labels is not None else []
        lines = [f"{self.target}: {', '.join(there)}", *self.found.text()]
        faults, warnings = self.found.count(FAULT), self.found.count(WARNING)
        lines.append(f"{counted(faults, 'fault')}, {counted(warnings, 'warning')}" if faults or warnings
                     else "nothing is wrong with it")
        if self.stops:
            photos = len(self.found.left_out(True)) if not self.found.stopping(True) else 0
            way = f"; --skip-bad (SKIP_BAD=1) leaves {counted(photos, 'photo')} out of it" if photos else ""
            lines.append(f"a run stops here{way}; --from lists goes on with all as it is")
        if self.left_out:
            lines.append(f"left out of the run: {counted(len(self.left_out), 'photo')} (--skip-bad)")
        return lines


def check(target, places, pictures=None, skip_bad=False):
    """Check a data set, and what a run has made of it.

    Parameters
    ----------
    target : str
        What the result calls it.
    places : Places
    pictures : PictureFacts, optional
    skip_bad : bool
        Whether photos with faults are to be left out.

    Returns
    -------
    Checked

    Raises
    ------
    UserError
        No data root at all; whatever is wrong within one is found, not raised.
    """
    pictures, found = pictures or PictureFacts(), Findings()
    content = read_data_root(places.data, found) if places.lists is None else read_run_lists(places.lists, found)
    check_ids(content, found)
    check_labels(content, found)
    check_photos(content, places.data, pictures, found)
    check_copies(content, found)
    check_masks(content, places.masks, pictures, found)
    result = Checked(target, found, content, skip_bad=skip_bad)
    if places.cues is not None:
        result.cues = check_cues(places.cues, content, photo_numbers(content, places.numbers, found),
                                 places.cue_size or size_of_json(places.cues), found)
    if places.pseudo_labels is not None:
        result.pseudo_labels = check_pseudo_labels(content, places.pseudo_labels, pictures, found)
    result.pictures_read = pictures.read
    _check_what_is_left(result)
    return result


def _check_what_is_left(result):
    """Leaving photos out must leave some in each list."""
    bad = result.left_out
    for name, ids in (("train", result.content.train), ("val", result.content.val)):
        if ids and all(image_id in bad for image_id in ids):
            result.found.add("nothing-left", f"{name}: {counted(len(ids), 'photo')}")


def files_of_result(out):
    """The files that `write_checked` writes or removes.

    Parameters
    ----------
    out : Path

    Returns
    -------
    list of Path
    """
    return [out / name for name in ("data.json", "data.txt", "left_out.txt")]


def write_checked(result, out):
    """Write data.json and data.txt into a folder; and left_out.txt where photos may be left out, even if none is.

    Parameters
    ----------
    result : Checked
    out : str or Path
        A folder.
    """
    data, text, left_out = files_of_result(Path(out))
    write_text(data, json.dumps(result.record(), indent=1) + "\n")
    write_text(text, "\n".join(result.text()) + "\n")
    if result.skip_bad:
        write_left_out(left_out, result.left_out)
    else:
        left_out.unlink(missing_ok=True)      # of an earlier check: nobody is to go by it

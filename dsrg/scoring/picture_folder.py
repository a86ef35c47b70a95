"""Pictures of any kind segmented into a folder to look at: index PNGs, overlays, shares of the classes."""

import csv
import io
import json
import time

import cv2
import numpy as np
from PIL import Image

from dsrg.io.atomic_files import atomic_write, write_text
from dsrg.io.counts import counted
from dsrg.io.errors import note, tell_error, warn
from dsrg.io.label_png import load_label_png, save_label_png, value_counts
from dsrg.io.output_folders import refuse_inputs_as_output
from dsrg.io.overwriting import refuse_written_over
from dsrg.io.photo_folder import kinds_text
from dsrg.io.pictures import as_in_file, read_picture
from dsrg.io.process_share import ALONE
from dsrg.io.workers import available_cpus, in_threads
from dsrg.report.mask_overlay import overlay_with_legend, share_of_classes
from dsrg.scoring.asked_pictures import collect, no_such
from dsrg.scoring.collapse import collapse_warning
from dsrg.scoring.label_map_folder import LabelMapFolder, digest
from dsrg.scoring.scores_file import scores_path
from dsrg.scoring.segment_photos import require_crf, segment_photos

JPEG_QUALITY = 92
SHOWN = 10  # pictures whose shares are printed, too


class PictureFolder(LabelMapFolder):
    """Results of pictures: `<id>.png` in the rows and columns of the picture's file, `overlays/<id>.jpg` upright.

    Parameters
    ----------
    folder, settings, about
        As of LabelMapFolder.
    pictures : dict of str to Path
    class_names : sequence of str
    scores : path, optional
        Folder of the scores, <id>.npz.
    """

    def __init__(self, folder, settings, about, pictures, class_names, scores=None):
        def beside(image_id):
            return [self.overlay_path(image_id), *([scores_path(scores, image_id)] if scores else [])]

        super().__init__(folder, settings, about, beside)
        self._pictures, self._class_names, self._orientations = pictures, class_names, {}

    def overlay_path(self, image_id):
        """Path of an overlay.

        Parameters
        ----------
        image_id : str

        Returns
        -------
        Path
        """
        return self.folder / "overlays" / f"{image_id}.jpg"

    def is_done(self, image_id):
        """Whether all files are there, and the map was made after the last change of its picture.

        A picture that was copied into the place of another keeps its own, older time; its inode's tells. A map whose
        time is still to come was made by a clock that was set back since, and is made again.

        Parameters
        ----------
        image_id : str

        Returns
        -------
        bool
        """
        made = super().is_done(image_id) and self.path(image_id).stat().st_mtime_ns
        return bool(made) and self._pictures[image_id].stat().st_ctime_ns <= made <= time.time_ns()

    def load(self, image_id, path):
        """The upright picture, uint8 (H, W, 3) BGR; how it lies in its file is kept for `save`.

        Parameters
        ----------
        image_id : str
        path : path

        Returns
        -------
        uint8 array (H, W, 3)
            Channels B, G, R.

        Raises
        ------
        UserError
            A picture that cannot be read.
        """
        picture = read_picture(path)
        self._orientations[image_id] = picture.orientation
        return np.ascontiguousarray(picture.rgb[:, :, ::-1])

    def save(self, image_id, photo, labels):
        """Write the overlay, then the label map.

        Parameters
        ----------
        image_id : str
        photo : Photo
        labels : uint8 array (H, W)
            Of the upright picture.
        """
        height, width = photo.image_bgr.shape[:2]
        small = cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
        drawn = overlay_with_legend(np.ascontiguousarray(photo.image_bgr[:, :, ::-1]), small, self._class_names)
        with atomic_write(self.overlay_path(image_id)) as temporary:
            Image.fromarray(drawn).save(temporary, format="JPEG", quality=JPEG_QUALITY)
        orientation = self._orientations.pop(image_id)
        save_label_png(self.path(image_id), as_in_file(labels, orientation), orientation=orientation)

    def write_shares(self, ids):
        """Write shares.csv (a line a picture, a column a class, shares from 0 to 1) and shares.json.

        Parameters
        ----------
        ids : sequence of str

        Returns
        -------
        list of dict
            What shares.json holds: photo, label_map, overlay, height, width, shares by class name.
        ndarray of int64, shape (256,)
            Pixels of each index over all maps.
        """
        def measure(image_id):
            labels = load_label_png(self.path(image_id))
            shares = share_of_classes(labels, len(self._class_names)).tolist()
            record = {"photo": str(self._pictures[image_id]), "label_map": str(self.path(image_id)),
                      "overlay": str(self.overlay_path(image_id)), "height": labels.shape[0],
                      "width": labels.shape[1], "shares": dict(zip(self._class_names, shares, strict=True))}
            return record, value_counts(labels)

        measured = list(in_threads(measure, ids))
        records = [record for record, _ in measured]
        text = io.StringIO()
        lines = csv.writer(text, lineterminator="\n")
        lines.writerow(["photo", *self._class_names])
        lines.writerows([record["photo"], *(f"{share:.6f}" for share in record["shares"].values())]
                        for record in records)
        write_text(self.folder / "shares.csv", text.getvalue())
        write_text(self.folder / "shares.json", json.dumps(records, indent=1, ensure_ascii=False) + "\n")
        return records, sum((counts for _, counts in measured), np.zeros(256, np.int64))


def segment_pictures(model, paths, out, overwrite=False, workers=None, ranks=ALONE, scores=None):
    """Segment files and folders of pictures, and say what became of them.

    Parameters
    ----------
    model : dsrg.model.Model
    paths : sequence of Path
        As of `dsrg.scoring.asked_pictures.collect`.
    out : Path
        Folder of the results; what is there of the same settings is kept.
    overwrite : bool
    workers : int, optional
        Pictures whose CRF runs at a time; by default the cores.
    ranks : Ranks, optional
        The processes that share the pictures.
    scores : Path, optional
        Folder that gets scores and probabilities, as of dsrg.scoring.scores_file.

    Returns
    -------
    list of dict
        As of PictureFolder.write_shares; of all but the first of several processes, none.
    int
        Pictures that are not there or could not be read; the others are done all the same.
    """
    if model.recipe.crf:
        require_crf()
    refuse_inputs_as_output(scores, *(path for path in paths if path.is_dir()), what="--scores")
    found = collect(paths, out)
    if found.others:
        note(f"note: left out, no pictures by their suffix: {kinds_text(found.others)}")
    files, pictures = model.files, found.pictures
    settings = {"net": digest(files.net), "weights": digest(files.weights), **model.recipe.settings(), **model.machine}
    about = {"net": str(files.net), "weights": str(files.weights)}
    temperature = model.temperature
    if scores:
        settings["temperature"] = temperature.value
    folder = PictureFolder(out, settings, about, pictures, model.class_names, scores)
    refuse_written_over({"--out": folder.written(pictures)}, [*pictures.values(), files.net, files.weights],
                        hard_links=False)
    todo = folder.pending(list(pictures), overwrite)
    ranks.wait()                        # all have looked before the first changes anything
    if ranks.is_first:
        folder.start_or_resume(list(pictures), overwrite)
    ranks.wait()
    mine = {image_id: pictures[image_id] for image_id in ranks.share(todo)}
    there = f", {len(pictures) - len(todo)} of them done before" if len(todo) < len(pictures) else ""
    note(f"{files.weights}: {counted(len(pictures), 'photo')} to {out}{there}")
    refused = {}
    if mine:
        segment_photos(model.net, mine, folder, model.recipe, workers or available_cpus(),
                       crf_backend=model.machine["crf_backend"], load=folder.load, on_unreadable=refused.__setitem__,
                       scores_folder=scores, temperature=temperature)
    refused = dict(ranks.gathered([(image_id, str(error)) for image_id, error in refused.items()]))
    if not ranks.is_first:
        return [], len(refused)
    done = [image_id for image_id in pictures if image_id not in refused]
    records, counts = folder.write_shares(done)
    if scores:
        note(f"{scores}: {temperature.line()}")
    if warning := collapse_warning(counts, len(done), out, model.class_names):
        warn(warning)
    errors = [*refused.values(), *map(no_such, found.missing)]
    for error in errors:
        tell_error(error)
    return records, len(errors)


def shares_text(records, out):
    """Lines for people on a few pictures; of many, or none, the one line that says where their shares are.

    Parameters
    ----------
    records : list of dict
        As of write_shares.
    out : path
        Folder of the results.

    Returns
    -------
    list of str
    """
    if not 0 < len(records) <= SHOWN:
        return [f"{out}: {counted(len(records), 'photo')}, shares.csv, shares.json"]
    lines = []
    for record in records:
        shares = sorted(((share, name) for name, share in record["shares"].items() if share), reverse=True)
        lines.append(f"{record['photo']}: " + ", ".join(f"{name} {share:.1%}" for share, name in shares))
    return lines

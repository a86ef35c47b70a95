"""A folder of label maps that knows how they were made, so that a stopped command goes on and settings never mix."""

import hashlib
import json
from pathlib import Path

from dsrg.io.atomic_files import write_text
from dsrg.io.errors import UserError, note
from dsrg.io.image_ids import file_of
from dsrg.io.json_files import read_mapping
from dsrg.io.label_png import save_label_png
from dsrg.io.versions import git_commit

SETTINGS = "settings.json"


class LabelMapFolder:
    """Label maps `<folder>/<id>.png`, what belongs to each, and settings.json.

    Parameters
    ----------
    folder : path
    settings : dict
        All that decides the maps, ready for JSON.
    about : dict
        What else is worth keeping: paths of net and weights.
    beside : callable, optional
        Paths that are written for an id before its label map; the map is last and tells that the image is done.
    """

    def __init__(self, folder, settings, about, beside=lambda image_id: []):
        self.folder, self._settings, self._about, self._beside = Path(folder), settings, about, beside

    def path(self, image_id):
        """Path of a label map.

        Parameters
        ----------
        image_id : str

        Returns
        -------
        Path
        """
        return file_of(self.folder, image_id)

    def written(self, ids):
        """Paths of all that is written for some ids.

        Parameters
        ----------
        ids : iterable of str

        Returns
        -------
        list of Path
        """
        return [self.folder / SETTINGS, *(path for image_id in ids for path in self._files(image_id))]

    def start_or_resume(self, ids, overwrite=False):
        """Ids that have no map of these settings yet; maps of other settings are removed first.

        Parameters
        ----------
        ids : sequence of str
        overwrite : bool
            Redo those that are there.

        Returns
        -------
        list of str

        Raises
        ------
        UserError
            Maps whose settings are not known.
        """
        earlier = self._earlier()
        there = [image_id for image_id in ids if self.path(image_id).is_file()]
        redone = self._redone(there, earlier, overwrite)
        if redone:
            self._remove(redone, earlier or {})
        if earlier != self._settings:
            record = {"settings": self._settings, **self._about, "commit": git_commit()}
            write_text(self.folder / SETTINGS, json.dumps(record, indent=1) + "\n")
        return [image_id for image_id in ids if not self.is_done(image_id)]

    def pending(self, ids, overwrite=False):
        """What `start_or_resume` will return; nothing is changed, so that a net that cannot run costs no results.

        Parameters
        ----------
        ids : sequence of str
        overwrite : bool
            Redo those that are there.

        Returns
        -------
        list of str
        """
        there = [image_id for image_id in ids if self.path(image_id).is_file()]
        redone = set(self._redone(there, self._earlier(), overwrite))
        return [image_id for image_id in ids if image_id in redone or not self.is_done(image_id)]

    def note_pixels(self, counts, images):
        """Keep in settings.json what the finished maps say, for the report of a run without true masks.

        Parameters
        ----------
        counts : int array (256,)
            Pixels of each index.
        images : int
            Label maps.
        """
        record = read_mapping(self.folder / SETTINGS)
        said = {"images": images, "pixels": {str(index): int(count) for index, count in enumerate(counts) if count}}
        if record and record != record | said:
            write_text(self.folder / SETTINGS, json.dumps(record | said, indent=1) + "\n")

    def _earlier(self):
        """The settings of the maps that are there, or None."""
        settings = read_mapping(self.folder / SETTINGS).get("settings")
        return settings if isinstance(settings, dict) else None

    def _redone(self, there, earlier, overwrite):
        """Those of the ids with maps whose maps are not to stay."""
        if there and earlier is None and not overwrite:
            raise UserError(f"{self.folder} holds label maps but no {SETTINGS} that says how they were made; "
                            "pass --overwrite or choose another --out")
        return there if overwrite or earlier != self._settings else []

    def is_done(self, image_id):
        """Whether all files of an image are there.

        Parameters
        ----------
        image_id : str

        Returns
        -------
        bool
        """
        return all(path.is_file() for path in self._files(image_id))

    def save(self, image_id, photo, labels):
        """Write the label map, uint8 (H, W), of a Photo.

        Parameters
        ----------
        image_id : str
        photo : Photo
        labels : uint8 array (H, W)
        """
        save_label_png(self.path(image_id), labels)

    def _remove(self, ids, earlier):
        changed = [f"{key}: {_shown(earlier.get(key))} before, {_shown(value)} now" if key in READABLE else key
                   for key, value in self._settings.items() if earlier.get(key) != value] if earlier else []
        note(f"{self.folder}: redoing {len(ids)} label maps ({', '.join(changed) or 'as asked'})")
        for image_id in ids:
            for path in reversed(self._files(image_id)):
                path.unlink(missing_ok=True)

    def _files(self, image_id):
        return [*self._beside(image_id), self.path(image_id)]


#: settings whose values are worth a word when they change; the others are digests and paths
READABLE = ("precision", "engine", "device", "crf_backend", "max_side", "temperature")


def _shown(value):
    return "unknown" if value is None else value


def digest(path):
    """SHA-256 of a file; UserError where there is none.

    Parameters
    ----------
    path : path

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None

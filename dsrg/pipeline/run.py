"""One run as its stages see it: its folder, its prototxts, and where what they name lies."""

import os
from functools import cached_property
from pathlib import Path

from dsrg.io.errors import UserError
from dsrg.io.text_files import decode_text
from dsrg.pipeline import prototxts
from dsrg.pipeline.settings import KINDS, WEIGHT_VARIABLES

#: trainings by the solver of another, with a change of its net (Experiment.static, .full): that one, snapshot_prefix
VARIANTS = {"static": ("s", "models/static"), "full": ("f", "models/full")}


class Run:
    """A run.

    Parameters
    ----------
    settings : Settings
    experiment : Experiment
    folder : Path
        The run's own folder, which stages work in.
    texts : dict of str to str
        The prototxts in force, by file name: they need not stand in the folder yet.
    base : Run, optional
        Of an ablation, the plain run, which has made data, classifier and cues.
    takes : collection of str
        What an ablation takes from the plain run: some of cam, cues, s.

    Attributes
    ----------
    coming : set of str
        Stages of this invocation that are done or will be by the time a later one starts.
    asked : frozenset of str
        Stages that were asked for by name.
    """

    def __init__(self, settings, experiment, folder, texts, base=None, takes=()):
        self.settings, self.experiment, self.folder = settings, experiment, Path(folder)
        self.texts, self.base, self.takes = texts, base, frozenset(takes)
        self.coming, self.asked = set(), frozenset()

    # ---- places ------------------------------------------------------------------------------------------------

    @property
    def data(self):
        """Folder of the data set, what the run's link `data` leads to."""
        if self.base is not None:
            return self.base.data
        return self.settings.data_root or self.folder / "made-data"

    @property
    def given_cues(self):
        """The finished cue file that takes the place of the stage cues, or None."""
        if self.base is None:
            return self.settings.cues
        return self.base.path(self.base.experiment.cue_file) if "cues" in self.takes else None

    def path(self, name):
        """Where a file of the run lies, also before the links of the folder are made.

        Parameters
        ----------
        name : str
            Relative to the folder of the run, or an absolute path.

        Returns
        -------
        Path
        """
        top, _, rest = str(name).partition("/")
        if top == "data":
            return self.data / rest
        if top == "masks":
            return self.data / self.settings.masks / rest
        if self.given_cues is not None and str(name) == self.experiment.cue_file:
            return self.given_cues
        return self.folder / name

    def text(self, name):
        """Content of a text file of the run, or None where it is not there (yet).

        Parameters
        ----------
        name : str

        Returns
        -------
        str or None

        Raises
        ------
        UserError
            A file that is not UTF-8 text.
        """
        if name in self.texts:
            return self.texts[name]
        try:
            return decode_text(self.path(name).read_bytes(), str(self.path(name)))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise UserError(f"{self.path(name)} cannot be read: {error.strerror}") from None

    def exists(self, name):
        """Whether a file of the run is there, or is a prototxt in force.

        Parameters
        ----------
        name : str

        Returns
        -------
        bool
        """
        return name in self.texts or self.path(name).is_file()

    # ---- trainings ---------------------------------------------------------------------------------------------

    @cached_property
    def trainings(self):
        """prototxts.Training by name: those that have a solver, and VARIANTS of them.

        Raises
        ------
        UserError
            A solver that cannot be used, or two that write the same snapshots.
        """
        found = {}
        for name in dict.fromkeys((*KINDS, *VARIANTS)):
            solver = self.solver(name)
            if solver in self.texts:
                prefix = VARIANTS[name][1] if self.changes(name) else None
                found[name] = prototxts.training(self.texts[solver], self.folder / solver, self.settings.max_iter,
                                                 prefix=prefix)
        owner = {}
        for name, training in found.items():
            other = owner.setdefault(training.prefix, name)
            if other != name:
                raise UserError(f"{self.folder}: the trainings {other} and {name} have one snapshot_prefix, "
                                f"'{training.prefix}', and would write over each other; give {self.solver(other)} "
                                "another")
        return found

    def solver(self, name):
        """Prototxt of the solver that a training runs by; the reference's own is read where the experiment has one.

        Parameters
        ----------
        name : str
            Of a training.

        Returns
        -------
        str
        """
        own = f"solver-{name}.prototxt"
        return f"solver-{VARIANTS[name][0]}.prototxt" if name in VARIANTS and own not in self.texts else own

    def changes(self, name):
        """How a variant changes the net of the other's solver, as `--set` of training.train; "" for none.

        Parameters
        ----------
        name : str
            Of a training.

        Returns
        -------
        str
        """
        is_variant = name in VARIANTS and self.solver(name) != f"solver-{name}.prototxt"
        return getattr(self.experiment, name) if is_variant else ""

    def training(self, name):
        """What the solver of a training says.

        Parameters
        ----------
        name : str

        Returns
        -------
        Training

        Raises
        ------
        UserError
            The experiment has no such training.
        """
        if name not in self.trainings:
            raise UserError(f"experiment {self.experiment.name} has no {self.solver(name)}, which the stage needs; "
                            "leave the stage out")
        return self.trainings[name]

    def model(self, name):
        """Path of a training's final weights, relative to the folder.

        Parameters
        ----------
        name : str
            Of a training.

        Returns
        -------
        str
        """
        if name in self.takes:
            return os.path.relpath(self.base.folder / self.base.model(name), self.folder)
        return self.training(name).model

    def start(self, name):
        """Where a training starts: (label, path) of the weights, or None for from nothing.

        Parameters
        ----------
        name : str
            Of a training.

        Returns
        -------
        (str, str) or None
        """
        where = self.experiment.start_of("s" if name == "static" else name)
        if where in ("", "none"):
            return None
        if where in WEIGHT_VARIABLES:
            path = self.settings.weights.get(where)
            return None if path is None else (where, str(path))
        if where in self.trainings:
            return self.model(where), self.model(where)
        return where, os.path.abspath(where)

    # ---- photos and masks --------------------------------------------------------------------------------------

    def ids(self, name):
        """Ids of a list of the run, or None where it is not made yet.

        Parameters
        ----------
        name : str

        Returns
        -------
        list of str, or None
        """
        text = self.text(name)
        return None if text is None else text.split()

    def files_of_ids(self, folder, ids, suffixes):
        """Name of each id's file in a folder of the run; the first suffix that exists, in any case, else the first.

        Parameters
        ----------
        folder : str
        ids : iterable of str
        suffixes : sequence of str
            In small letters, the preferred first.

        Returns
        -------
        tuple of str
        """
        listed, names = {}, []
        for image_id in ids:
            parent, _, stem = image_id.rpartition("/")
            if parent not in listed:
                listed[parent] = self._names_by_suffix(f"{folder}/{parent}" if parent else folder)
            name = next((listed[parent][stem, s] for s in suffixes if (stem, s) in listed[parent]), stem + suffixes[0])
            names.append("/".join(part for part in (folder, parent, name) if part))
        return tuple(names)

    def _names_by_suffix(self, folder):
        """(stem, suffix in lower case) -> file name, of a folder of the run; empty where there is none."""
        try:
            names = sorted(os.listdir(self.path(folder)))
        except OSError:
            return {}
        return {(stem, suffix.lower()): stem + suffix for stem, suffix in map(os.path.splitext, names)}

    def without_mask(self, ids):
        """How many of these ids have no true mask.

        Parameters
        ----------
        ids : iterable of str

        Returns
        -------
        int
        """
        masks = self.files_of_ids("masks", ids, (".png",))
        return sum(not self.path(name).is_file() for name in masks)

"""Stamps: what a stage's result depended on, written last, and what has changed since.

stamps/NAME.json stands for a stage that is done. It holds the digests of all that the stage read, of the code it ran
and of all that it made. stamps/NAME.begun stands for one that was started: what lies there was made from inputs of its
key, so that a start with the same key goes on from it. Files with neither have unknown inputs.
"""

import json
from dataclasses import dataclass, field

from dsrg.io.atomic_files import write_text
from dsrg.io.errors import UserError
from dsrg.io.json_files import is_number, read_mapping
from dsrg.pipeline.code_digests import ROOT
from dsrg.pipeline.digests import MISSING, DigestCache, Manifests
from dsrg.pipeline.stage_files import folder
from dsrg.pipeline.stage_inputs import Inputs, difference, inputs_of

FORMAT = 2              # of the stamps; 1 were a hash alone
SHOWN = 3               # names of changed files a reason gives


@dataclass(frozen=True)
class State:
    """Whether a stage is done.

    Attributes
    ----------
    reasons : tuple of str
        Why it is not; () for a stage that is done.
    resumes : bool
        Whether a start goes on from what lies there.
    """

    inputs: Inputs
    reasons: tuple = ()
    resumes: bool = False
    record: dict = field(default_factory=dict)

    @property
    def done(self):
        """bool: whether there is nothing to do.
        """
        return not self.reasons


class Stamps:
    """The stamps of one run, and the digests they are made of.

    Parameters
    ----------
    run : Run
    """

    root = ROOT         # of the project whose code counts

    def __init__(self, run):
        self.run = run
        self.folder = run.folder / "stamps"
        self.digests = DigestCache(self.folder / "digests.cache")
        self.manifests = Manifests(self.folder / "manifests")

    def stamp_path(self, name):
        """Where the stamp of a stage that is done lies.

        Parameters
        ----------
        name : str

        Returns
        -------
        Path
        """
        return self.folder / f"{name}.json"

    def begun_path(self, name):
        """Where the note of a stage that was begun lies.

        Parameters
        ----------
        name : str

        Returns
        -------
        Path
        """
        return self.folder / f"{name}.begun"

    # ---- state ---------------------------------------------------------------------------------------------------

    def state(self, stage, forced=False):
        """Whether a stage is done, and if not, why.

        Parameters
        ----------
        stage : Stage
        forced : bool
            It counts as not done.

        Returns
        -------
        State

        Raises
        ------
        UserError
            Something it reads is not there.
        """
        inputs = inputs_of(stage, self.run, self.digests, self.manifests, self.root)
        begun = self.begun(stage.name)
        record = self.record(stage.name)
        resumes = begun.get("key") == inputs.key and not forced
        if forced:
            return State(inputs, ("it was asked for (--force)",), resumes, record)
        if record is None:
            reason = "it was stopped before its end" if resumes else "it has not run"
            if not resumes and begun:
                reason = "it was stopped before its end, and what it reads has changed since"
            return State(inputs, (reason,), resumes, {})
        reasons = self._changes(record, inputs)
        if not reasons:
            reasons = self._damage(record)
            # what is gone is made again from what is left; a result that was changed by hand is not built upon
            resumes = all(reason.endswith("is gone") for reason in reasons)
        return State(inputs, tuple(reasons), resumes, record)

    def record(self, name):
        """The stamp of a stage, or None; one that cannot be read counts as none.

        Parameters
        ----------
        name : str

        Returns
        -------
        dict or None
        """
        return read_stamp(self.stamp_path(name)) or None

    def begun(self, name):
        """{"key", "seconds", "peak_mib"} of the start in progress, or {}.

        Parameters
        ----------
        name : str

        Returns
        -------
        dict
        """
        content = read_mapping(self.begun_path(name))
        return content if _is_measured(content) else {}

    def _changes(self, record, inputs):
        """What differs between a stamp and the inputs of now, in words."""
        reasons = []
        old_reads = record.get("reads", {})
        for label, digest in inputs.reads.items():
            if label not in old_reads:
                reasons.append(f"it now reads {label}")
            elif old_reads[label] != digest:
                reasons.append(f"{label} changed{self._which(old_reads[label], digest)}")
        reasons += [f"it no longer reads {label}" for label in old_reads if label not in inputs.reads]
        for name, value in inputs.settings.items():
            old = record.get("settings", {}).get(name)
            if old != value:
                reasons.append(f"{name}: {old} -> {value}")
        old_command, command = tuple(record.get("keyed_command", ())), inputs.command
        if old_command != command:
            reasons.append(f"its command changed: {difference(old_command, command)}")
        return reasons

    def _which(self, old, new):
        """': name, name and 5 more' of the files that differ between two manifests, '' where that is not known."""
        before, after = self.manifests.read(old), self.manifests.read(new)
        if before is None or after is None:
            return ""
        names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        return f": {', '.join(names[:SHOWN])}{more}"

    def _damage(self, record):
        """What was made and is not there, or is not as it was made."""
        reasons = []
        for name, digest in record.get("files", {}).items():
            now = self.digests.digest(self.run.path(name))
            if now == MISSING:
                reasons.append(f"{name} is gone")
            elif now != digest:
                reasons.append(f"{name} is not as the stage made it")
        for name, manifest in record.get("folders", {}).items():
            made = self.manifests.read(manifest)
            if made is None:
                reasons.append(f"what it made in {name} is not known any more")
                continue
            now = {path: self.digests.digest(self.run.path(path)) for path in made}
            gone = sorted(path for path, digest in now.items() if digest == MISSING)
            other = sorted(path for path, digest in now.items() if digest not in (MISSING, made[path]))
            # both count: where one file is gone and another was changed, the changed one is not built upon
            reasons += [f"{names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''} {what}"
                        for names, what in ((gone, "is gone"), (other, "is not as the stage made it")) if names]
        return reasons

    def missing(self, stage, record):
        """Files that a stage had made in its folders and that are not there any more.

        Parameters
        ----------
        stage : Stage
        record : dict
            Its stamp, or {}.

        Returns
        -------
        list of str
        """
        folders = stage.makes(self.run).folders
        return [path for name, manifest in record.get("folders", {}).items() if name in folders
                for path in sorted(self.manifests.read(manifest) or ()) if not self.run.path(path).is_file()]

    # ---- writing -------------------------------------------------------------------------------------------------

    def begin(self, name, inputs, seconds=0.0, peak_mib=0):
        """Note that a stage starts with these inputs, and what its earlier parts took of time and memory.

        Parameters
        ----------
        name : str
        inputs : Inputs
        seconds : float
        peak_mib : int
        """
        note = {"key": inputs.key, "seconds": round(seconds, 1), "peak_mib": peak_mib}
        write_text(self.begun_path(name), json.dumps(note))

    def forget(self, name):
        """Neither done nor begun, in this order: files that lie there belong to no inputs from now on.

        Parameters
        ----------
        name : str
        """
        self.stamp_path(name).unlink(missing_ok=True)
        self.begun_path(name).unlink(missing_ok=True)

    def finish(self, stage, inputs, command, **measured):
        """Write the stamp of a stage that ended well.

        Parameters
        ----------
        stage : Stage
        inputs : Inputs
        command : list of str
        **measured
            Seconds, peak memory and the like, for the record.

        Raises
        ------
        UserError
            It did not make what the table says.
        """
        made = stage.makes(self.run)
        files = {name: self.digests.digest(self.run.path(name)) for name in made.files}
        contents = {name: folder(self.run, name) for name in made.folders}
        missing = [name for name, digest in files.items() if digest == MISSING]
        missing += [name for name, names in contents.items() if not names]
        if missing:
            raise UserError(f"stage {stage.name} ended well but did not make {', '.join(missing)}")
        folders = {name: self.manifests.add([(path, self.digests.digest(self.run.path(path))) for path in names])
                   for name, names in contents.items()}
        self.manifests.save({*inputs.reads.values(), *folders.values()})
        record = {"format": FORMAT, "key": inputs.key, "command": list(command), **measured,
                  "keyed_command": list(inputs.command), "settings": inputs.settings, "reads": inputs.reads,
                  "files": files, "folders": folders}
        write_text(self.stamp_path(stage.name), json.dumps(record, indent=1))
        self.begun_path(stage.name).unlink(missing_ok=True)
        self.digests.save()

    def tidy(self):
        """Drop manifests that no stamp names."""
        named = set()
        for path in self.folder.glob("*.json"):
            content = read_stamp(path)
            named |= {*content.get("reads", {}).values(), *content.get("folders", {}).values()}
        self.manifests.keep_only(named)


def read_stamp(path):
    """The content of a stamp.

    Parameters
    ----------
    path : path

    Returns
    -------
    dict
        {} where there is none of this format, or one with values of other types.
    """
    content = read_mapping(path)
    texts = [content.get(name, {}) for name in ("reads", "settings", "files", "folders")]
    words = [content.get(name, []) for name in ("command", "keyed_command")]
    fits = (content.get("format") == FORMAT and _is_measured(content)
            and all(isinstance(one, dict) and all(isinstance(v, str) for v in one.values()) for one in texts)
            and all(isinstance(one, list) and all(isinstance(word, str) for word in one) for one in words))
    return content if fits else {}


def _is_measured(content):
    return all(is_number(content.get(name, 0)) for name in ("seconds", "peak_mib"))

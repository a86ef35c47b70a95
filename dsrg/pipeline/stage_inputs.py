"""All that a stage's result depends on, as digests."""

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from dsrg.io.errors import UserError
from dsrg.pipeline.code_digests import code_digest, sources_of
from dsrg.pipeline.digests import combined
from dsrg.pipeline.stage import CAFFE

CODE = "code"           # label of the manifest of sources


@dataclass(frozen=True)
class Inputs:
    """All that a stage's result depends on.

    Attributes
    ----------
    command : tuple of str
        Without the interpreter; files given by absolute path (weights, say) count by content, not by place.
    settings : dict of str to str
        What is neither a word of the command nor a file: engine, CRF backend.
    reads : dict of str to str
        Digest by label; of many files the digest of their manifest.
    """

    command: tuple
    settings: dict
    reads: dict

    @property
    def key(self):
        """str: SHA-256 of all of it.
        """
        everything = json.dumps([self.command, self.settings, self.reads], sort_keys=True)
        return hashlib.sha256(everything.encode()).hexdigest()


def inputs_of(stage, run, digests, manifests, root):
    """The Inputs of a stage as they are now.

    Parameters
    ----------
    stage : Stage
    run : Run
    digests : DigestCache
    manifests : Manifests
        Takes those of many files.
    root : Path
        Of the project whose code counts.

    Returns
    -------
    Inputs

    Raises
    ------
    UserError
        Something it reads is not there: an earlier stage has not run.
    """
    reads = {}
    for read in stage.reads(run):
        if read.required and not run.exists(read.files[0]):
            raise UserError(f"stage {stage.name}: {read.files[0]} does not exist in {run.folder}; "
                            f"{_remedy(stage, read.files[0])}")
        reads[read.label] = _digest_of_read(read, run, digests, manifests)
    modules = stage.code(run)
    settings = {}
    if CAFFE in modules:
        settings["engine"] = run.settings.engine
        if run.settings.engine == "caffe":
            modules = tuple(module for module in modules if module != CAFFE)
            reads["Caffe"] = manifests.add([(str(path), digests.digest(path))
                                            for path in _files_of_caffe(run.settings.caffe)])
    sources = sources_of(modules, root)
    if any(path.is_relative_to(root / "CRF") for path in sources):
        settings["CRF backend"] = run.settings.crf_backend
    reads[CODE] = manifests.add([(str(path.relative_to(root)), code_digest(path)) for path in sources])
    command = tuple("<file>" if os.path.isabs(word) else word for word in stage.command(run)[1:])
    return Inputs(command, settings, reads)


def _remedy(stage, name):
    """What makes a file that is not there."""
    if name.endswith(".prototxt"):
        return "the folder of the experiment lacks it, too: write it there"
    return f"run what makes it first: --stages {','.join(stage.needs)}"


def _digest_of_read(read, run, digests, manifests):
    if read.value:
        return combined([(read.value, "")])
    if read.listing:
        try:
            names = os.listdir(run.path(read.listing))
        except OSError:
            names = []
        return combined((name, "") for name in names)
    if len(read.files) == 1:
        return _digest(read.files[0], run, digests)
    return manifests.add([(name, _digest(name, run, digests)) for name in read.files])


def _digest(name, run, digests):
    if name in run.texts:
        return hashlib.sha256(run.texts[name].encode()).hexdigest()
    return digests.digest(run.path(name))


def _files_of_caffe(package):
    """What of a real Caffe computes: its library and its Python package."""
    return sorted(path for pattern in ("*.so", "*.py", "proto/*.py") for path in Path(package).glob(pattern))


def difference(old, new):
    """The words in which two commands differ.

    Parameters
    ----------
    old, new : sequence of str

    Returns
    -------
    str
    """
    gone, came = _words(old, new), _words(new, old)
    return " ".join(filter(None, [gone and f"'{gone}'", "->", f"'{came}'" if came else "nothing"])).lstrip("-> ") \
        if gone else f"'{came}' added"


def _words(command, other):
    """Flags with their values that the other command has not."""
    parts = re.split(r" (?=--)", " ".join(command))
    return " ".join(part for part in parts if part not in re.split(r" (?=--)", " ".join(other)))

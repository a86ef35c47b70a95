"""The folder of a run: prototxts copied from the experiment, links to the data, results set aside, rests of kills."""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from dsrg.io.atomic_files import TEMPORARY, write_text
from dsrg.io.errors import UserError
from dsrg.io.json_files import read_mapping
from dsrg.io.overwriting import same_name
from dsrg.io.prototxt_text import read_folder, read_text
from dsrg.io.python_path import python_path
from dsrg.pipeline.prototxt_edits import ablated, with_batch
from dsrg.pipeline.stamps import FORMAT

ROOT = Path(__file__).resolve().parents[2]
#: records which text of each prototxt the pipeline put into the folder
COPIES = "stamps/prototxts.copied"
FOLDERS = ("models", "logs", "results", "stamps", "cues")


def prototxts_of(settings, experiment, ablations):
    """The prototxts of a run by name, with ablation and batch size; and the ablation, or None.

    Parameters
    ----------
    settings : Settings
    experiment : Experiment
    ablations : path
        Folder of the ablations.

    Returns
    -------
    dict of str to str
    prototxt_edits.Ablation or None

    Raises
    ------
    UserError
        An ablation that does not fit the experiment.
    """
    texts = read_folder(experiment.folder)
    if settings.engine != "embedded":   # the engine has every type and says itself which GPU it lacks
        texts = fit_to_caffe(texts, settings)
    ablation = None
    if settings.ablation:
        path = Path(ablations, f"{settings.ablation}.yaml")
        ablation, changed = ablated(path, texts, experiment.folder)
        texts |= changed
    if settings.batch:
        texts |= with_batch(texts, settings.batch, experiment.folder)
    return texts, ablation


def fit_to_caffe(texts, settings):
    """The prototxts as the Caffe in use reads them; UserError, after a line for each, where it lacks something.

    Parameters
    ----------
    texts : dict of str to str
    settings : Settings

    Returns
    -------
    dict of str to str

    Raises
    ------
    UserError
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts.items():
            Path(folder, name).write_text(text, encoding="utf-8")
        # a process of its own: real Caffe ends the one that asks it for what it lacks
        asked = subprocess.run([sys.executable, "-m", "docker.check_caffe", "--nets", folder, "--device",
                                settings.device], cwd=ROOT, check=False,
                               env={**os.environ, "PYTHONPATH": python_path(os.environ), "ENGINE": settings.engine,
                                    "CAFFE_ROOT": settings.caffe_root or ""})
        if asked.returncode:
            raise UserError("this Caffe cannot run the experiment (see the lines above and docs/caffe.md)")
        return {name: Path(folder, name).read_text(encoding="utf-8") for name in texts}


def with_edits(folder, texts, keep):
    """The prototxts in force, seeing what people changed in the folder of the run.

    A copy that is as the pipeline wrote it follows the experiment. One that was edited is refused by name, unless it
    is as the experiment has it by now, or `keep` takes it as it is; so is an edited copy of a file that the experiment
    no longer has.

    Parameters
    ----------
    folder : path
    texts : dict of str to str
    keep : bool

    Returns
    -------
    dict of str to str

    Raises
    ------
    UserError
        An edited copy.
    """
    folder = Path(folder)
    copied = _copies(folder)
    in_force = dict(texts)
    for name, text in texts.items():
        path = folder / name
        if not path.is_file():
            continue
        there = read_text(path)
        if there == text or _digest(there) in copied.get(name, []):
            continue
        if keep:
            in_force[name] = there
            continue
        raise UserError(
            f"{path} was edited: it differs from the experiment's and from the copy that was made of it. To run with "
            f"it, add --keep-edits; to keep it for good, make it an experiment's (prototxts/) and remove the copy; to "
            "drop the edit, remove the copy")
    for name, path in _left_over(folder, texts, copied, edited=True):
        if not keep:
            raise UserError(f"{path} was edited, but the experiment has no {name} any more, so that nothing would read "
                            "it. To run with it, copy it to the experiment's folder; to drop the edit, remove it")
    return in_force


def _left_over(folder, texts, copied, edited):
    """(name, path) of the copies that lie there of prototxts which the experiment no longer has."""
    for name in sorted(copied.keys() - texts.keys()):
        path = Path(folder, name)
        if not path.is_file():
            continue
        there = _digest(path.read_text(encoding="utf-8", errors="replace"))
        if (there not in copied[name]) == edited:
            yield name, path


def _copies(folder):
    """Digests of the texts that the pipeline put into the folder, by name of the prototxt."""
    content = read_mapping(folder / COPIES)
    return {name: digests for name, digests in content.items()
            if isinstance(digests, list) and all(isinstance(digest, str) for digest in digests)}


def _digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def prepare(run, texts, says=None):
    """Make the folders, copies and links of a run; `texts` are the experiment's prototxts, run.texts those in force.

    Parameters
    ----------
    run : Run
    texts : dict of str to str
    says : str or None
        What the ablation says.
    """
    for name in FOLDERS:
        (run.folder / name).mkdir(parents=True, exist_ok=True)
    remove_rests(run.folder)
    copied = _copies(run.folder)
    for name, text in run.texts.items():
        path = run.folder / name
        if text != texts[name]:                     # an edit that is kept stays known as one
            continue
        if not path.is_file() or path.read_text(encoding="utf-8", errors="replace") != text:
            # old and new are both known before the copy changes, whenever this is killed
            write_text(run.folder / COPIES, json.dumps({**copied, name: [*copied.get(name, []), _digest(text)]}))
            write_text(path, text)
        copied[name] = [_digest(text)]
    for name, path in _left_over(run.folder, texts, copied, edited=False):
        path.unlink()
        del copied[name]
    write_text(run.folder / COPIES, json.dumps(copied, indent=1))
    if says is not None:
        write_text(run.folder / "ablation.txt", f"{run.settings.ablation}: {says}\n")
    if run.settings.data_root is not None or run.base is not None:
        link(run.data.resolve(), run.folder / "data")
    elif run.experiment.make_data:
        link("made-data", run.folder / "data")
    link(f"data/{run.settings.masks}", run.folder / "masks")
    if run.given_cues is not None:
        target = run.folder / run.experiment.cue_file
        if target.exists() and not target.is_symlink():
            raise UserError(f"{target} was made by this run, and CUES asks for another; move it away, or choose "
                            "another WORK")
        link(run.given_cues.absolute(), target)
    elif (run.folder / run.experiment.cue_file).is_symlink():
        (run.folder / run.experiment.cue_file).unlink()     # of an earlier CUES: never write through it


def link(target, path):
    """Make `path` a symbolic link to `target`, in one step where there was another.

    Parameters
    ----------
    target, path : path
        Where the target is the link itself, as when CUES names that of the run, it stays as it is.
    """
    path = Path(path)
    if path.is_symlink() and (os.readlink(path) == str(target) or same_name(path.parent / target, path)):
        return
    if path.exists() and not path.is_symlink():
        raise UserError(f"{path} is in the way of a link that the run needs there; move it away")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-0")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    temporary.symlink_to(target)
    os.replace(temporary, path)


def remove_rests(folder):
    """Remove the temporary files that killed writers left in the folder of a run; links are not followed.

    Parameters
    ----------
    folder : Path
    """
    for parent, _, names in os.walk(folder):
        for name in names:
            if TEMPORARY.fullmatch(name):
                Path(parent, name).unlink(missing_ok=True)


def set_aside(run, stage):
    """Move what a stage has made to stale/<stage>-<n>/; the folder, or None where there was nothing.

    The stage's stamp and its .begun are gone by then, so that a kill at any step leaves files that belong to no inputs,
    which the next start sets aside as well.

    Parameters
    ----------
    run : Run
    stage : Stage

    Returns
    -------
    str or None
    """
    made = stage.makes(run)
    names = [name for name in dict.fromkeys((*made.files, *made.folders, *made.also))
             if (run.folder / name).exists() or (run.folder / name).is_symlink()]
    if not names:
        return None
    number = 1
    while (aside := run.folder / "stale" / f"{stage.name}-{number}").exists():
        number += 1
    for name in names:
        target = aside / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(run.folder / name, target)
    return aside.relative_to(run.folder)


def refuse_older(run, adopt):
    """Refuse a folder whose stamps are of an earlier version of the pipeline.

    Parameters
    ----------
    run : Run
    adopt : bool

    Raises
    ------
    UserError
        With what to do.
    """
    if adopt:
        return
    for path in sorted((run.folder / "stamps").glob("*.json")):
        if read_mapping(path).get("format") != FORMAT:
            raise UserError(f"{run.folder} was made by an earlier version, whose stamps do not record all that a "
                            "result depends on. If nothing has changed since, add --adopt once: it takes the results "
                            "for what they are now made from. Else choose another WORK, or remove the folder")


"""Files of a run as its stages read them: photos and masks of a list, all files of a folder, files among arguments."""

from dsrg.datasets.voc_lists import SETS, TRAIN_SETS
from dsrg.io.counts import counted
from dsrg.io.image_ids import fault_of
from dsrg.io.photos import PHOTO_SUFFIXES
from dsrg.pipeline.prototxts import listed_files
from dsrg.pipeline.stage import Read, file


def photos_of(run, name):
    """The photos of a list of ids.

    Parameters
    ----------
    run : Run
    name : str
        Of the list.

    Returns
    -------
    Read
    """
    return Read(f"photos of {name}", run.files_of_ids("data/JPEGImages", run.ids(name) or [], PHOTO_SUFFIXES))


def masks_of(run, name):
    """The true masks of a list of ids.

    Parameters
    ----------
    run : Run
    name : str
        Of the list.

    Returns
    -------
    Read
    """
    return Read(f"masks of {name}", run.files_of_ids("masks", run.ids(name) or [], (".png",)))


def photos_of_list(run, name):
    """The photos of input_list.txt, names with their suffix.

    Parameters
    ----------
    run : Run
    name : str
        Of the list.

    Returns
    -------
    Read
    """
    return Read(f"photos of {name}", tuple(listed_files(run.text(name) or "", "data/JPEGImages")[0]))


def photos_and_masks_of_data(run):
    """The photos and masks that the lists of the data root name, whatever else is wrong with these lists.

    Parameters
    ----------
    run : Run

    Returns
    -------
    list of Read
    """
    ids = dict.fromkeys([*ids_of_data(run, "train"), *ids_of_data(run, "val")])
    return [Read("photos of the data set", run.files_of_ids("data/JPEGImages", ids, PHOTO_SUFFIXES)),
            Read("masks of the data set", run.files_of_ids("masks", ids, (".png",)))]


def ids_of_data(run, which):
    """The ids in the data root's own list, "train" (the first of TRAIN_SETS) or "val"; [] where it cannot be read.

    Parameters
    ----------
    run : Run
    which : str

    Returns
    -------
    list of str
    """
    name = which if which == "val" else next((n for n in TRAIN_SETS if run.exists(f"data/{SETS}/{n}.txt")), which)
    try:
        words = run.path(f"data/{SETS}/{name}.txt").read_bytes().decode("utf-8-sig", "replace").split()
    except OSError:
        return []
    return [word for word in words if fault_of(word) is None]


def folder(run, name):
    """All files of a folder, those of its folders too; hidden ones do not count.

    Parameters
    ----------
    run : Run
    name : str

    Returns
    -------
    tuple of str
    """
    top = run.path(name)
    found = []
    for path in sorted(top.rglob("*")) if top.is_dir() else ():
        parts = path.relative_to(top).parts
        if path.is_file() and not any(part.startswith(".") for part in parts):
            found.append("/".join((name, *parts)))
    return tuple(found)


def argument_reads(run, command):
    """Files and folders among the arguments that the experiment gives a command: saliency maps, another net.

    Parameters
    ----------
    run : Run
    command : str
        One of COMMANDS.

    Returns
    -------
    list of Read
    """
    found = []
    for word in run.experiment.arguments.get(command, ()):
        path = run.folder / word
        if not word.startswith("-") and path.is_dir():
            found.append(Read(word, folder(run, word)))
        elif not word.startswith("-") and path.is_file():
            found.append(file(word))
    return found


def no_masks(run, ids):
    """Why the photos of a list cannot be measured, or None; of a list that is yet to be made, by its source.

    Parameters
    ----------
    run : Run
    ids : str
        Name of the list.

    Returns
    -------
    str or None
    """
    if not run.path("masks").is_dir():
        return None if _made_in_this_run(run) else f"DATA_ROOT has no {run.settings.masks}"
    known = run.ids(ids)
    if known is None:
        known = ids_of_data(run, "train" if ids == "lists/train_id.txt" else "val")
    missing = run.without_mask(known)
    have = "has" if missing == 1 else "have"
    return f"{counted(missing, 'photo')} of {ids} {have} no mask in DATA_ROOT/{run.settings.masks}" if missing else None


def _made_in_this_run(run):
    return "data" in run.coming and not run.data.is_dir()

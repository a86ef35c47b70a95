"""Labels that folders are, labels of a folder's photos made class indices, and ids for the photos."""

import re
from collections import Counter
from pathlib import PurePosixPath

from dsrg.datasets.label_table import LabelTable
from dsrg.datasets.photo_names import folded
from dsrg.io.class_names import LONGEST_NAME, class_index, fault_of_class_name
from dsrg.io.errors import UserError, printable
from dsrg.io.voc import IGNORE_LABEL

#: folders of a data set that are parts of it, not classes
PARTS = ("train", "training", "val", "valid", "validation", "test", "testing")
#: labels that are class numbers; 2.0 is what a spreadsheet makes of 2 in a column with empty cells
NUMBER = re.compile(r"[+-]?\d+(\.\d*)?")


def folder_table(folder, names):
    """The labels of photos in class folders: each photo's is the first folder on its path; none on `folder` itself.

    Parameters
    ----------
    folder : Path
    names : sequence of str
        Paths of the photos from it.

    Returns
    -------
    LabelTable
        Its line numbers are 0.

    Raises
    ------
    UserError
        No photo lies in a folder, or the folders are the parts of a data set.
    """
    words = {name: [(0, PurePosixPath(name).parts[0])] for name in names if "/" in name}
    if not words:
        raise UserError(f"{folder} holds no folder with photos; expected one for each class, such as {folder}/cow")
    classes = sorted({word for ((_, word),) in words.values()})
    if all(name.lower() in PARTS for name in classes):
        raise UserError(f"{folder} holds the folders {', '.join(classes)}, parts of a data set and not classes; give "
                        f"--photos {folder}/{classes[0]}, whose folders are called as the classes")
    return LabelTable(words)


def one_spelling(words, given, notes):
    """The words with labels that differ in case, spaces or accents' coding made one: as given, or the commonest.

    Parameters
    ----------
    words : dict of str to list of (int, str)
        Photo -> line number and label of each of its labels.
    given : list of str
        Class names with background; [] where labels name the classes.
    notes : list of str
        Gets a line on what was made one.

    Returns
    -------
    dict of str to list of (int, str)
    """
    count = Counter(word for fields in words.values() for _, word in fields)
    spellings = {}
    for word in count:
        spellings.setdefault(folded(word), []).append(word)
    classes = {}
    for name in given[1:]:
        classes.setdefault(folded(name), []).append(name)
    changed = {}
    for key, group in spellings.items():
        if given:
            chosen = classes[key][0] if len(classes.get(key, ())) == 1 else None
        else:
            chosen = " ".join(min(group, key=lambda word: (-count[word], word)).split())
        changed |= {word: chosen for word in group if chosen and word != chosen and word not in given}
    if changed:
        shown = ", ".join(f"'{word}' ({count[word]}) as '{chosen}'" for word, chosen in list(changed.items())[:10])
        notes.append(f"labels that differ in case or spaces are one class: {shown}; to keep them apart, name both in "
                     "--classes")
    return {name: [(number, changed.get(word, word)) for number, word in fields] for name, fields in words.items()}


def names_used(words, path):
    """Background and the names of a labels file in the order of their characters (capitals first).

    Numbers name nothing and are refused.

    Parameters
    ----------
    words : dict of str to list of (int, str)
        As of `one_spelling`.
    path : Path
        The labels file, for messages.

    Returns
    -------
    list of str

    Raises
    ------
    UserError
        Numbers, no labels, too many, or one with a control character.
    """
    used = {}       # each label with the first line, and its photo, that gives it
    for photo, fields in words.items():
        for number, word in fields:
            used[word] = min(used.get(word, (number, photo)), (number, photo))
    names = sorted(word for word in used if word.strip().lower() != "background")
    for name in sorted(names, key=used.get):
        number, photo = used[name]
        where = f"{path}{f':{number}' if number else ''}: photo '{printable(photo)}' has label"
        if NUMBER.fullmatch(name):
            raise UserError(f"{where} {name[:LONGEST_NAME]}, and numbers name no class; give their names with "
                            "--classes, or a table of 0 and 1 a header")
        if fault := fault_of_class_name(name):
            raise UserError(f"{where} '{name[:LONGEST_NAME]}', which {fault}")
    if not names:
        raise UserError(f"{path} gives no photo a label; write '<photo> <class> ..' lines")
    if len(names) >= IGNORE_LABEL:
        raise UserError(f"{path} has {len(names)} different labels, expected 1 to {IGNORE_LABEL - 1}")
    return ["background", *names]


def index_labels(words, classes, path, faults):
    """Photo -> sorted class indices; a label that is not a class is a fault, reported where it first occurs.

    Parameters
    ----------
    words : dict of str to list of (int, str)
        As of `one_spelling`.
    classes : list of str
        With background.
    path : Path
        The labels file, for messages.
    faults : Faults

    Returns
    -------
    dict of str to list of int
    """
    labels, known = {}, {}
    for name, fields in words.items():
        for number, word in fields:
            if word not in known:
                try:
                    known[word] = class_index(word, classes)
                except ValueError as error:
                    known[word] = None
                    faults.add("labels that are not classes",
                               f"{path}{f':{number}' if number else ''}: photo '{name}' has label "
                               f"{word[:LONGEST_NAME]}; {error}")
        labels[name] = sorted({known[word] for _, word in fields} - {None})
    return labels


def with_labels(labels, words, names, options, faults, left_out, unclear=()):
    """The labels of photos that have some, in the order of the photos; photos without are a fault, or left out.

    Those that a line may mean, or another (`unclear`), are told with that line.

    Parameters
    ----------
    labels : dict of str to list of int
        As of `index_labels`.
    words : dict of str to list of (int, str)
        As of `one_spelling`.
    names : list of str
        Photos of the folder.
    options : FolderOptions
    faults : Faults
    left_out : Counter
        Gets the number of photos that are left out.
    unclear : container of str
        Photos that were told already.

    Returns
    -------
    dict of str to list of int
    """
    bare = [name for name in names if not words.get(name)]
    if bare and options.skip_unlabelled:
        left_out["photo without a label"] = len(bare)
    else:
        for name in (name for name in bare if name not in unclear):
            where = f"has no label in {options.labels}; label it" if options.labels else \
                f"lies in no class folder of {options.photos}; move it into one"
            faults.add("photos without a label", f"photo '{printable(name)}' {where}, or leave such photos out by "
                       "--skip-unlabelled")
    return {name: labels[name] for name in names if labels.get(name)}


def ids_of(names, faults):
    """Photo -> id: no suffix, no folder, no space, for lists that go by spaces.

    Parameters
    ----------
    names : iterable of str
        Photos.
    faults : Faults
        Gets photos that would share an id.

    Returns
    -------
    dict of str to str
    """
    ids, taken = {}, {}
    for name in names:
        plain = "".join(c if c.isprintable() else "_" for c in id_of_photo(name))
        ids[name] = re.sub(r"\s+", "_", plain.replace("/", "_"))
        if taken.setdefault(ids[name], name) != name:
            both = f"'{printable(taken[ids[name]])}' and '{printable(name)}'"
            faults.add("photos that would share a name", f"photos {both} would both be called "
                       f"'{ids[name]}'; rename one")
    return ids


def id_of_photo(name):
    """A photo's path without the suffix; it may hold what no id of a list may.

    Parameters
    ----------
    name : str
        Path below the folder of photos.

    Returns
    -------
    str
    """
    return str(PurePosixPath(name).with_suffix(""))

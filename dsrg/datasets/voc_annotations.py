"""Image-level labels from VOC annotations (`Annotations/<id>.xml`, one file an image with its objects)."""

from xml.parsers import expat

from dsrg.io.errors import UserError
from dsrg.io.faults import Faults
from dsrg.io.image_ids import file_of
from dsrg.io.regular_files import read_file

MOST_BYTES = 64 << 20


def read_object_names(path):
    """Names of the objects in one VOC annotation file.

    Objects marked difficult count: they are in the photo. Parts of objects (head, hand, foot) do not.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    list of str
        In file order, with repetition.

    Raises
    ------
    UserError
        Missing file, broken XML, or a document type declaration (VOC has none; it is where XML hides entity
        expansion and references to other files, so such a file is not read further).
    """
    names, where, text = [], [], []
    in_name = ["annotation", "object", "name"]

    def start(tag, _attributes):
        where.append(tag)
        text.clear()

    def end(_tag):
        if where == in_name:
            names.append("".join(text).strip())
        where.pop()

    def refuse_doctype(*_declaration):
        raise UserError(f"annotation {path} declares a document type; VOC annotations have none, remove it")

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text.append
    parser.StartDoctypeDeclHandler = refuse_doctype
    try:
        parser.Parse(read_file(path, "annotation", MOST_BYTES), True)
    except expat.ExpatError as error:
        raise UserError(f"annotation {path} is not well-formed XML ({error}); download it again") from None
    return names


def labels_from_annotations(folder, ids, classes):
    """Class indices of images from their annotation files.

    Parameters
    ----------
    folder : path
        The folder Annotations.
    ids : sequence of str
    classes : sequence of str
        Names in index order, background first.

    Returns
    -------
    dict of str to list of int
        Sorted indices from 1 up, without repetition; empty where the file names no object.
    """
    index = {name: i for i, name in enumerate(classes)}
    labels, faults = {}, Faults(folder)
    for image_id in ids:
        path = file_of(folder, image_id, ".xml")
        try:
            names = set(read_object_names(path))
        except UserError as error:
            faults.add("annotations that cannot be read", error)
            continue
        unknown = sorted(name for name in names if index.get(name, 0) == 0)
        if unknown:
            faults.add("annotations of other classes",
                       f"annotation {path} has an object '{unknown[0]}', none of the {len(classes) - 1} object "
                       "classes; name the classes of this data in classes.txt")
        labels[image_id] = sorted({index.get(name, 0) for name in names})
    faults.refuse()
    return labels

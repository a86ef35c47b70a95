"""What the user should know of a folder of photos, and that stops nothing: a line each."""

from dsrg.datasets.folder_labels import id_of_photo
from dsrg.io.copies import copies
from dsrg.io.counts import counted
from dsrg.io.errors import printable
from dsrg.io.photo_folder import kinds_text

#: photos with a shorter side are named
TINY = 32
#: suffixes of photos that no reader here takes
NOT_READ = (".heic", ".heif", ".avif", ".jxl", ".gif", ".psd", ".raw", ".dng", ".cr2", ".nef", ".arw", ".svg")


def orientation_notes(found, options):
    """One line on photos that their EXIF orientation turns, where masks have to be turned alike.

    Parameters
    ----------
    found : PhotoSet
    options : FolderOptions

    Yields
    ------
    str
    """
    turned = [name for name in found.turned if name in found.masks]
    if not turned:
        return
    shown = (f"{counted(len(turned), 'photo')} with a mask {_are(turned)} turned upright by "
             f"{'its' if len(turned) == 1 else 'their'} EXIF orientation "
             f"({turned[0]} first)")
    if options.masks_stored:
        yield f"{shown}; masks of the stored pixels are turned alike"
        return
    yield (f"{shown}; masks are taken to be of the upright photo, which sizes cannot tell for orientations 2 to 4 and "
           "for square photos: look at one, and pass --masks-stored if the masks are of the pixels as stored")


def photo_notes(found):
    """Lines on photos that lists call otherwise, and on photos of few pixels.

    Parameters
    ----------
    found : PhotoSet

    Yields
    ------
    str
    """
    renamed = [name for name in found.labels if found.ids[name] != id_of_photo(name)]
    if renamed:
        first = renamed[0]
        yield (f"{counted(len(renamed), 'photo')} with a space or a folder in the name {_are(renamed)} called "
               f"otherwise in lists and results: '{printable(id_of_photo(first))}' is '{found.ids[first]}', for one")
    if found.tiny:
        yield (f"{counted(len(found.tiny), 'photo')} with a side under {TINY} pixels ({found.tiny[0]} first): nothing "
               "can be learned of photos that small")


def copy_notes(found, folder):
    """Lines on photos that are another once more: may so be in train and val, or differ in their labels.

    Parameters
    ----------
    found : PhotoSet
    folder : Path
        Of the photos.

    Yields
    ------
    str
    """
    groups = copies({name: folder / name for name in found.labels})
    if groups:
        first = " and ".join(f"'{printable(name)}'" for name in groups[0][:2])
        number = sum(map(len, groups)) - len(groups)
        yield (f"{counted(number, 'photo')} of the same content as another ({first}, for one): if one is "
               "learned from and the other is in val, the result flatters; keep one of each")
    for names in (names for names in groups if len({tuple(found.labels[name]) for name in names}) > 1):
        said = ", ".join(f"'{printable(name)}' {'+'.join(found.classes[c] for c in found.labels[name])}"
                         for name in names[:3])
        yield f"copies of one photo have different labels ({said}): one of them is wrong, or each lacks a class"


def notes_on_others(others):
    """A line on files that are photos to their owner and not to the readers here.

    Parameters
    ----------
    others : dict of str to int
        Files that are not read, by suffix.

    Yields
    ------
    str
    """
    foreign = {kind: number for kind, number in others.items() if kind in NOT_READ}
    if foreign:
        yield (f"photos of kinds that are not read are left out: {kinds_text(foreign)}; convert them to .jpg or .png "
               "(ImageMagick: magick a.heic a.jpg), and label them")


def _are(things):
    return "is" if len(things) == 1 else "are"

"""Photos as people name them in a file of labels: with or without suffix, by full path or file name, in other case."""

import re
import unicodedata
from pathlib import Path, PurePosixPath

from dsrg.io.photos import is_photo


def folded(text):
    """A text that is the same for spellings that differ in case, spaces, or composed and decomposed accents.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
    """
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


class PhotoNames:
    """Finds the photos of a folder by what a labels file calls them.

    Parameters
    ----------
    folder : Path
    names : sequence of str
        Paths of its photos from there, with slashes.
    """

    def __init__(self, folder, names):
        self._folder = Path(folder)
        self._exact = dict.fromkeys(names)
        self._folded, self._files = {}, {}
        for name in names:
            self._files.setdefault(folded(PurePosixPath(name).name), []).append(name)
            for key in {folded(name), folded(str(PurePosixPath(name).with_suffix("")))}:
                self._folded.setdefault(key, []).append(name)

    def find(self, text):
        """The photos that `text` may stand for: one where it is clear, none, or several.

        A file name without a folder is also that of a photo in a folder, where no photo lies at that path itself.

        Parameters
        ----------
        text : str

        Returns
        -------
        list of str
        """
        if text in self._exact:
            return [text]
        for way in (text, text.replace("\\", "/")):
            way = self._from_folder(way)
            if way in self._exact:
                return [way]
            found = self._folded.get(folded(way), [])
            same_case = [name for name in found if way in (name, str(PurePosixPath(name).with_suffix("")))]
            if found:
                return same_case or found
        found = self._files.get(folded(text), [])
        return [name for name in found if PurePosixPath(name).name == text] or found

    def _from_folder(self, text):
        """The text as a path from the photo folder, where it is one from elsewhere that leads there."""
        path = PurePosixPath(text)
        if "\0" in text or len(path.parts) < 2:
            return text
        for folder in (self._folder.absolute(), self._folder.resolve(), self._folder):
            if path.is_relative_to(folder.as_posix()):
                return path.relative_to(folder.as_posix()).as_posix()
        return path.as_posix()  # without ./ in front


def why_unknown(text):
    """What is wrong with a name that is not a photo, the end of a sentence about it.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
    """
    if text.startswith("/") or re.match(r"[A-Za-z]:[\\/]", text):
        return "is a path that leads to no photo below the photo folder; name photos by their path from there"
    if re.match(r"[a-z]+://", text):
        return "is an address; name photos by their path below the photo folder"
    suffix = PurePosixPath(text).suffix
    if re.fullmatch(r"\.[A-Za-z]{2,4}", suffix) and not is_photo(text):
        return f"is not a photo below the photo folder; {suffix} files are not read, convert them to .jpg or .png"
    if not is_photo(text):
        return "is not a photo below the photo folder; name photos in folders by path, or by file name with the suffix"
    return "is not a photo below the photo folder; name a .jpg or .png file there"

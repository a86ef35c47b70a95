"""The labels of a folder of photos, as people write them: text or CSV, with a header or without.

A line names a photo and its classes. Fields are apart by commas, semicolons or tabs, quoted where they hold one, or by
spaces where there is none of these; a field may hold several labels apart by commas, semicolons or bars. Lines that
begin with # are comments, rows of empty fields are passed over, and a first line `sep=;` says what fields are apart by,
as Excel has it. A header is known by its first word (image, file, name ..); under one, a table of 0 and 1 with a column
a class is read as such.
"""

import csv
import re
from collections import Counter
from dataclasses import dataclass, field

from dsrg.datasets.photo_names import PhotoNames, why_unknown
from dsrg.io.class_names import LONGEST_NAME
from dsrg.io.counts import counted
from dsrg.io.errors import UserError
from dsrg.io.lists import read_lines
from dsrg.io.photos import is_photo

#: names of columns, in any case: image, file_name, ImagePath; label, class_name, tag2, none at all
PHOTO_COLUMN = re.compile(r"(image|img|photo|picture|file)?s?[ _-]?(name|path|file|id|image|img|photo|picture)?s?",
                          re.I)
LABEL_COLUMN = re.compile(r"((image|class|object)?[ _-]?(label|class|category|categories|tag|object|name|target)"
                          r"(es|s)?[ _-]?\d*)?", re.I)
YES, NO = ("1", "1.0", "true", "yes", "y", "x"), ("0", "0.0", "false", "no", "n", "-", "")
#: a first line that says what fields are apart by
SEPARATOR = re.compile(r'"?sep=([,;\t|:]?)"?[,;\t]*', re.I)
#: the share of the cells of a table of 0 and 1 that may be something else: these are faults, one by one
MOST_STRANGE = 0.25


@dataclass
class LabelTable:
    """Photo -> (line number, label) pairs as written; how many lines were comments or a header.

    `unclear` are photos that a line may mean, or another photo.
    """

    words: dict = field(default_factory=dict)
    comments: int = 0
    header: bool = False
    unclear: set = field(default_factory=set)


def read_label_table(path, folder, names, faults, classes=()):
    """Read a labels file.

    Parameters
    ----------
    path, folder : Path
        The file, and the folder of the photos.
    names : sequence of str
        Paths of the photos from the folder.
    faults : Faults
        Takes the lines that name no photo, or several.
    classes : sequence of str
        Names that are not taken apart at commas and bars.

    Returns
    -------
    LabelTable

    Raises
    ------
    UserError
        No text, or a header with columns that are neither the photo nor labels.
    """
    photos, table = PhotoNames(folder, names), LabelTable()
    lines, separator = _lines(path)
    rows, first = [], True
    for number, line in lines:
        whole = _fields(line, separator)
        if not any(text.strip() for text in whole):
            continue
        name, found, fields = _photo_and_fields(line, whole, separator, photos)
        if line.startswith("#") and not found:
            table.comments += 1
            continue
        if first and not found and _is_header(whole):
            table.header = [text.strip() for text in whole]
        else:
            rows.append((number, name, found, fields))
        first = False
    columns = _columns(table.header, rows, path) if table.header else None
    for number, name, found, fields in rows:
        if len(found) != 1:
            may_be_header = not table.header and number == rows[0][0] and not is_photo(name)
            _add_unknown(faults, f"{path}:{number}", name, found, may_be_header)
            table.unclear.update(found)
            continue
        words = table.words.setdefault(found[0], [])
        if open_quotes := [text for text in fields if text.startswith('"')]:
            faults.add("quotes that are not closed", f"{path}:{number}: {open_quotes[0][:LONGEST_NAME]} opens a quote "
                       "that this line does not close; write a photo and its labels on one line")
        elif columns:
            words += [(number, column) for column in _ticked(columns, fields, f"{path}:{number}", faults)]
        else:
            words += [(number, word) for text in fields for word in _labels(text, classes)]
    table.header = bool(table.header)
    return table


def _lines(path):
    """The lines of a labels file as (number, text), and what fields are apart by where its first line says so, or None.

    A line keeps the tabs at its end, each an empty field, where the first line that is no comment holds some inside.
    """
    lines = list(read_lines(path, "labels", ends=" "))
    said = SEPARATOR.fullmatch(lines[0][1])
    lines = lines[1:] if said else lines
    head = next((text for _, line in lines if (text := line.strip()) and not text.startswith("#")), "")
    lines = [(number, line.lstrip() if "\t" in head else line.strip()) for number, line in lines if line.strip()]
    return lines, (said[1] or None) if said else None


def _ticked(columns, fields, where, faults):
    """The columns of a row of a table of 0 and 1 that hold a 1; what is neither is a fault."""
    fields = fields[:len(columns)] + _without_empty_end(fields[len(columns):])
    if len(fields) != len(columns):
        faults.add("rows of another length", f"{where}: {counted(len(fields), 'cell')} behind the photo, expected "
                   f"{len(columns)}, one for each class of the header")
        return
    for column, value in zip(columns, fields, strict=True):
        value = value.strip()
        if value.lower() in YES:
            yield column
        elif value.lower() not in NO:
            faults.add("cells that are neither 0 nor 1", f"{where}: '{value}' in column {column}; expected 1 or 0 (or "
                       "yes, no, true, false, x, nothing)")


def _without_empty_end(texts):
    """The texts without the empty ones at the end."""
    count = len(texts)
    while count and not texts[count - 1].strip():
        count -= 1
    return texts[:count]


def _add_unknown(faults, where, name, found, may_be_header):
    if not name:
        faults.add("lines that name no photo", f"{where}: the first field is empty; name the photo there")
    elif found:
        faults.add("lines whose photo is not clear",
                   f"{where}: '{name}' are several photos below the photo folder ({', '.join(found[:3])}); name the "
                   "file with its suffix, as it is written there")
    else:
        header = " (if this is a header, call its first column image)" if may_be_header else ""
        faults.add("lines that name no photo", lambda: f"{where}: '{name}' {why_unknown(name)}{header}")


def _fields(line, separator):
    """The fields of a line as CSV has them: by `separator`, else by the first of comma, semicolon and tab outside
    quotes, else by spaces."""
    quotes = csv.QUOTE_MINIMAL if line.count('"') % 2 == 0 else csv.QUOTE_NONE
    bare = re.sub(r'"[^"]*"', "", line) if quotes == csv.QUOTE_MINIMAL else line
    delimiter = separator if separator and separator in bare else next((c for c in bare if c in ",;\t"), None)
    if delimiter is None and quotes == csv.QUOTE_NONE:
        return line.split()
    try:
        fields = next(csv.reader([line], delimiter=delimiter or " ", skipinitialspace=True, quoting=quotes))
    except csv.Error:    # a field beyond the module's limit of 128 KiB
        fields = re.split(r"[,;\t]", line) if delimiter is None else line.split(delimiter)
    return [text for text in fields if text] if delimiter is None else fields


def _photo_and_fields(line, fields, separator, photos):
    """Name of the photo on a line of these fields, the photos it may stand for, and the fields behind it."""
    by_spaces = not re.search(rf"[,;\t{re.escape(separator or '')}]", line) and len(fields) > 1
    name = fields[0].strip()
    if found := photos.find(name):
        return name, found, fields[1:]
    words = fields if by_spaces else name.split()
    for count in range(1, min(len(words), 12) + by_spaces):  # a name that holds spaces, or a space behind it
        start = " ".join(words[:count])
        if found := photos.find(start):
            rest = words[count:] if by_spaces else [" ".join(words[count:]), *fields[1:]]
            return start, found, rest
    return name, [], fields[1:]


def _labels(text, classes):
    """The labels in a field."""
    text = text.strip()
    if text in classes:
        return [text]
    return [word.strip() for word in re.split(r"[,;|\t]", text) if word.strip()]


def _is_header(fields):
    """Whether the first line of a file, which names no photo, is a header."""
    first = fields[0].strip()
    return (first == "" and len(fields) > 2) or (first != "" and PHOTO_COLUMN.fullmatch(first) is not None)


def _columns(header, rows, path):
    """The classes of a table of 0 and 1 under its header; None where the fields are labels themselves."""
    if not header[0]:
        raise UserError(f"{path}: its first column has no name, as where row numbers were written; leave that column "
                        "out, so that each line begins with the photo")
    names = header[1:]
    strange = [name for name in names if not LABEL_COLUMN.fullmatch(name)]
    if twice := next((name for name, n in Counter(strange).items() if n > 1), None):
        raise UserError(f"{path}: two columns are called {twice[:LONGEST_NAME]}; keep one of them, or name each class "
                        "once")
    # rows of another length count too: they are faults of a table of 0 and 1, however many they are
    cells = [text.strip().lower() for *_, fields in rows for text in fields]
    odd = sum(text not in (*YES, *NO) for text in cells)
    if strange and cells and odd <= MOST_STRANGE * len(cells):
        return _without_empty_end(names)
    if strange:
        raise UserError(f"{path}: has a header with columns that are not labels ({', '.join(strange[:5])}); keep the "
                        "photo and its labels, or a column of 0 and 1 for each class")
    return None

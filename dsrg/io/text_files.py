"""Texts that people write: UTF-8 with or without a byte order mark, any line ends; another encoding is named."""

from dsrg.io.errors import UserError
from dsrg.io.regular_files import read_file

MARKS = ((b"\xff\xfe\0\0", "UTF-32"), (b"\0\0\xfe\xff", "UTF-32"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))


def read_text(path, what):
    """The text of a file.

    Parameters
    ----------
    path : path
    what : str
        What errors call it: "image list".

    Returns
    -------
    str
        Without a byte order mark, its lines ended by \\n.

    Raises
    ------
    UserError
        A file that cannot be read, or that is not UTF-8 text.
    """
    return decode_text(read_file(path, what), f"{what} {path}")


def decode_text(data, name):
    """The text in the bytes of a file.

    Parameters
    ----------
    data : bytes
    name : str
        What errors call it: "image list a.txt".

    Returns
    -------
    str
        Without a byte order mark, its lines ended by \\n.

    Raises
    ------
    UserError
        Bytes that are not UTF-8, or NUL among them.
    """
    if fault := fault_of_text(data):
        raise UserError(f"{name} cannot be read as UTF-8 text: {fault}; save it as UTF-8")
    return with_unix_lines(data.decode("utf-8-sig"))


def with_unix_lines(text):
    """The text with \\n in place of the line ends of Windows and of old Macs.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
    """
    return text.replace("\r\n", "\n").replace("\r", "\n")


def fault_of_text(data):
    """Why bytes are no UTF-8 text, the end of a sentence; None where they are.

    Parameters
    ----------
    data : bytes

    Returns
    -------
    str or None

    Examples
    --------
    >>> fault_of_text("cow\\n".encode("utf-16-le")), fault_of_text(b"cow\\n")
    ('it is UTF-16 text', None)
    """
    for mark, encoding in MARKS:
        if data.startswith(mark):
            return f"it is {encoding} text"
    if b"\0" in data:
        even, odd = data[::2].count(0), data[1::2].count(0)
        # every second byte of words in Latin letters is 0 in UTF-16; of other letters, that of blanks and line ends
        return "it is UTF-16 text" if min(even, odd) == 0 and max(even, odd) > max(1, len(data) // 20) else (
            f"byte {data.index(0)} is NUL, as texts have none")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return str(error)
    return None

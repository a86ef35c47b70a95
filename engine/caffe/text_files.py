"""Texts that people write: UTF-8 with or without a byte order mark, any line ends; UTF-16 and UTF-32 are named."""

MARKS = ((b"\xff\xfe\0\0", "UTF-32"), (b"\0\0\xfe\xff", "UTF-32"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))


def other_encoding(data):
    """The encoding of the bytes of a text that is none for Caffe, or None.

    Parameters
    ----------
    data : bytes

    Returns
    -------
    str or None
        "UTF-16" or "UTF-32".
    """
    for mark, encoding in MARKS:
        if data.startswith(mark):
            return encoding
    if b"\0" not in data:
        return None
    # every second byte of words in Latin letters is 0 in UTF-16; of other letters, that of blanks and line ends
    even, odd = data[::2].count(0), data[1::2].count(0)
    return "UTF-16" if min(even, odd) == 0 and max(even, odd) > max(1, len(data) // 20) else None


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


def read_lines_of(path):
    """The lines of a list of files, whose names may be any bytes.

    Parameters
    ----------
    path : str or os.PathLike

    Returns
    -------
    list of str
        Without line ends and without a byte order mark; cut at line ends alone, not where Unicode has other ones.

    Raises
    ------
    OSError
    ValueError
        A text in another encoding, or one with NUL bytes; its message is the end of a sentence.
    """
    with open(path, "rb") as file:
        data = file.read()
    if encoding := other_encoding(data):
        raise ValueError(f"it is {encoding} text; save it as UTF-8")
    if b"\0" in data:
        raise ValueError(f"byte {data.index(0)} is NUL, as texts have none; save it as UTF-8")
    return with_unix_lines(data.decode("utf-8-sig", "surrogateescape")).split("\n")

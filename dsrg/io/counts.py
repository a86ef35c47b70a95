"""Numbers with the word they count: '1 photo', '2 photos'."""


def counted(number, one, many=None):
    """A number and what it counts.

    Parameters
    ----------
    number : int
    one : str
        What stands behind 1.
    many : str, optional
        What stands behind other numbers; `one` with an s by default.

    Examples
    --------
    >>> counted(1, "photo"), counted(0, "photo"), counted(2, "class", "classes")
    ('1 photo', '0 photos', '2 classes')
    """
    return f"{number} {one if number == 1 else many or one + 's'}"

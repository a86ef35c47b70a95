"""Numbers of things in messages: "1 photo", "2 photos"."""


def counted(number, noun, plural=None):
    """A number with its noun.

    Parameters
    ----------
    number : int
    noun : str
        For one of them.
    plural : str, optional
        For any other number; `noun` with an s by default.

    Returns
    -------
    str

    >>> counted(1, "photo"), counted(12, "photo"), counted(0, "class", "classes")
    ('1 photo', '12 photos', '0 classes')
    """
    return f"{number} {noun if number == 1 else plural or noun + 's'}"

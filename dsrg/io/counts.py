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


def few_of(some, among, noun):
    """How many of a number of things have something: "1 of 12 photos has", "3 of 12 photos have".

    Parameters
    ----------
    some, among : sized
    noun : str
        For one of them.

    Returns
    -------
    str

    >>> few_of(["a"], ["a", "b"], "id"), few_of(["a"], ["a"], "id")
    ('1 of 2 ids has', '1 of 1 id has')
    """
    return f"{len(some)} of {counted(len(among), noun)} {'has' if len(some) == 1 else 'have'}"

"""What is wrong with a file or a folder, collected: the first of each kind are reported together."""

from dsrg.io.errors import UserError

#: faults of one kind that are told; the rest is counted
SHOWN = 10


class Faults:
    """Collects faults by kind.

    Parameters
    ----------
    what : str
        The file or folder they are of, as errors call it.

    Examples
    --------
    >>> faults = Faults("labels.txt")
    >>> faults.add("unknown photos", "labels.txt:3: 'a' is not a photo")
    >>> faults.refuse()
    Traceback (most recent call last):
        ...
    dsrg.io.errors.UserError: labels.txt:3: 'a' is not a photo
    """

    def __init__(self, what):
        self.what = str(what)
        self._kinds = {}    # kind -> [count, texts of the first]

    def __bool__(self):
        return bool(self._kinds)

    def add(self, kind, text):
        """Add a fault.

        Parameters
        ----------
        kind : str
            A plural that a count follows: "photos that cannot be read".
        text : str, UserError or callable giving a str
            A whole error line; a callable is asked only while lines of its kind are still shown.
        """
        entry = self._kinds.setdefault(kind, [0, []])
        entry[0] += 1
        if len(entry[1]) < SHOWN:
            entry[1].append(str(text() if callable(text) else text))

    def refuse(self):
        """Raise a UserError when there is a fault.

        A single fault is the error. Of several, `details` holds the first ten of each kind, each kind under a line
        with its count, and the error's text the sum and the first of them.
        """
        if not self._kinds:
            return
        total = sum(count for count, _ in self._kinds.values())
        first = next(iter(self._kinds.values()))[1][0]
        if total == 1:
            raise UserError(first)
        lines = []
        for kind, (count, texts) in self._kinds.items():
            lines += [f"{kind}: {count}", *texts]
            if count > len(texts):
                lines.append(f"... and {count - len(texts)} more")
        raise UserError(f"{self.what}: {total} faults, the first: {first}", lines)

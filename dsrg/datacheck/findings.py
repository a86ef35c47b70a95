"""What was found, collected by kind; told as text or as JSON."""

from dsrg.datacheck.kinds import FAULT, KINDS, WARNING
from dsrg.io.counts import counted
from dsrg.io.errors import LONGEST_LINE, printable

FORMAT = 1      # of the JSON
SHOWN = 10      # lines of one kind that the text gives


class Findings:
    """Findings of a data set, by kind.

    Examples
    --------
    >>> found = Findings()
    >>> found.add("photo-empty", "JPEGImages/a.jpg", "a")
    >>> found.count(FAULT), found.left_out(skip_bad=True)
    (1, {'a': ['photo-empty']})
    """

    def __init__(self):
        self._lines = {}    # kind -> texts
        self._photos = {}   # kind -> ids, each once

    def add(self, kind, text, photo=None):
        """Add a finding.

        Parameters
        ----------
        kind : str
            Of KINDS.
        text : str
            Which file or line, and what of it.
        photo : str, optional
            Id of the photo that it is of.
        """
        if kind not in KINDS:
            raise KeyError(kind)
        self._lines.setdefault(kind, []).append(printable(text)[:LONGEST_LINE])
        if photo is not None:
            self._photos.setdefault(kind, {})[photo] = True

    def count(self, severity):
        """How many findings of a severity there are.

        Parameters
        ----------
        severity : str
            FAULT or WARNING.

        Returns
        -------
        int
        """
        return sum(len(lines) for kind, lines in self._lines.items() if KINDS[kind].severity == severity)

    def left_out(self, skip_bad):
        """Photo -> kinds of faults that leaving it out mends; empty unless `skip_bad`.

        Parameters
        ----------
        skip_bad : bool

        Returns
        -------
        dict of str to list of str
        """
        bad = {}
        for kind in self._ordered(FAULT) if skip_bad else ():
            for photo in self._photos.get(kind, ()) if KINDS[kind].of_photos else ():
                bad.setdefault(photo, []).append(kind)
        return bad

    def stopping(self, skip_bad):
        """How many faults stop a run: all of them, or those that leaving photos out does not mend.

        Parameters
        ----------
        skip_bad : bool
            Whether photos with faults may be left out.

        Returns
        -------
        int
        """
        return sum(len(self._lines[kind]) for kind in self._ordered(FAULT)
                   if not (skip_bad and KINDS[kind].of_photos))

    def _ordered(self, severity):
        return [kind for kind in KINDS if kind in self._lines and KINDS[kind].severity == severity]

    def records(self):
        """A dict for each kind that was found, faults first: what the JSON holds."""
        return [{"kind": kind, "severity": severity, "count": len(self._lines[kind]), "says": _says(kind, lines),
                 "remedy": KINDS[kind].remedy, "examples": lines[:SHOWN], "photos": sorted(self._photos.get(kind, ()))}
                for severity in (FAULT, WARNING) for kind in self._ordered(severity)
                for lines in [self._lines[kind]]]

    def text(self, shown=SHOWN):
        """Lines for the user: each kind with its count, its first findings and what helps.

        Parameters
        ----------
        shown : int
            Findings of a kind that are given one by one.

        Returns
        -------
        list of str
        """
        lines = []
        for severity in (FAULT, WARNING):
            for kind in self._ordered(severity):
                found = self._lines[kind]
                lines.append(f"{severity}: {_says(kind, found)}")
                lines += [f"    {text}" for text in found[:shown]]
                if len(found) > shown:
                    lines.append(f"    ... and {len(found) - shown} more")
                lines.append(f"  -> {KINDS[kind].remedy}")
        return lines


def _says(kind, lines):
    return counted(len(lines), KINDS[kind].one, KINDS[kind].many)

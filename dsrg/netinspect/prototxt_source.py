"""A prototxt as text and as message: which line says what, and every unknown field instead of the first."""

import bisect
import re
from collections import defaultdict
from dataclasses import dataclass, field

from caffe.prototxt import PrototxtError, parse_net, parse_solver, read_text

from dsrg.io.errors import UserError

_TOKEN = re.compile(r"""(?P<comment>\#[^\n]*) | (?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
                        | (?P<mark>[{}<>\[\]:,;]) | (?P<word>[^\s{}<>\[\]:,;"'\#]+)""", re.VERBOSE)
OPEN, CLOSE = "{<[", "}>]"
MOST_UNKNOWN = 50  # unknown fields that are named; the text is read once more for each


@dataclass(frozen=True, order=True)
class Finding:
    """Something to say about a line; `severity` is error, warning or note."""

    line: int
    severity: str
    text: str


@dataclass
class Block:
    """A top-level `layer { ... }`: its line, and the lines of its own fields, in order, by name."""

    line: int
    name: str = ""
    lines: dict = field(default_factory=lambda: defaultdict(list))


class Source:
    """A net's prototxt.

    Parameters
    ----------
    path : str or Path

    Attributes
    ----------
    net : NetParameter or None
        Upgraded; None where the text cannot be read past an error. Unknown fields are left out of it.
    findings : list of Finding
        What is wrong with the text.

    Raises
    ------
    UserError
        No such file, a binary file, or a solver.
    """

    def __init__(self, path):
        self.path = str(path)
        try:
            self.text = read_text(self.path)
        except (RuntimeError, PrototxtError) as error:
            raise UserError(str(error)) from None
        self.findings = []
        self.net = self._parse()
        self._blocks = defaultdict(list)
        for block in layer_blocks(self.text):
            self._blocks[block.name].append(block)

    def _parse(self):
        text = self.text
        while True:
            try:
                return parse_net(text, self.path)
            except PrototxtError as error:
                line, column, said = self._split(str(error))
                if not self.findings:
                    self._refuse_solver(said)
                self.findings.append(Finding(line, "error", said))
                if column is None or "has no field '" not in said or len(self.findings) == MOST_UNKNOWN:
                    return None
                text = without_field(text, line, column)

    def _split(self, text):
        """(line, column or None, rest) of "path:line:column: rest"."""
        match = re.match(r"(?::(\d+))?(?::(\d+))?: ", text.removeprefix(self.path))
        if not (text.startswith(self.path) and match):
            return 1, None, text
        line, column = match[1], match[2]
        return int(line or 1), column and int(column), text[len(self.path) + match.end():]

    def _refuse_solver(self, said):
        if not said.startswith("NetParameter has no field"):
            return
        try:
            solver = parse_solver(self.text, self.path)
        except PrototxtError:
            return
        net = solver.net or solver.train_net
        raise UserError(f"{self.path} is a solver; give its net" + (f", {net}" if net else ""))

    def block(self, name, occurrence=0):
        """The Block of the layer `name` (of several, the one at this place); of a layer not in the text, line 1.

        Parameters
        ----------
        name : str
        occurrence : int
            From 0.

        Returns
        -------
        Block
        """
        same = self._blocks.get(name)
        return same[min(occurrence, len(same) - 1)] if same else Block(1, name)


def layer_blocks(text):
    """The Blocks of a prototxt's text, in order.

    Parameters
    ----------
    text : str

    Returns
    -------
    list of Block
    """
    starts = _line_starts(text)
    blocks, depth, name, name_line = [], 0, "", 1
    for match in _tokens(text):
        token, line = match[0], bisect.bisect_right(starts, match.start())
        if token in OPEN:
            depth += 1
            if depth == 1 and name in ("layer", "layers"):
                blocks.append(Block(name_line))
        elif token in CLOSE:
            depth -= 1
        elif match["word"] or match["string"]:
            if match["string"] and name == "name" and depth == 1 and blocks and not blocks[-1].name:
                blocks[-1].name = token[1:-1]
            if match["word"]:
                name, name_line = token, line
                if depth == 1 and blocks:
                    blocks[-1].lines[token].append(line)
    return blocks


def without_field(text, line, column):
    """The text with the field at this place (both from 1) and its value turned into blanks; lines stay.

    Parameters
    ----------
    text : str
    line, column : int

    Returns
    -------
    str
    """
    begin = _line_starts(text)[line - 1] + column - 1
    depth, end, valued = 0, begin, False
    for match in _tokens(text, begin):
        token = match[0]
        if depth == 0 and valued and not match["string"]:
            break  # strings one after the other are one value
        if token in OPEN:
            depth += 1
        elif token in CLOSE:
            depth -= 1
        end = match.end()
        valued = depth == 0 and match.start() > begin and token != ":"
        if depth < 0:
            end = match.start()  # the message around it ends: the field had no value
            break
    return text[:begin] + re.sub(r"[^\n]", " ", text[begin:end]) + text[end:]


def _tokens(text, begin=0):
    return (match for match in _TOKEN.finditer(text, begin) if not match["comment"])


def _line_starts(text):
    return [0, *(match.end() for match in re.finditer("\n", text))]

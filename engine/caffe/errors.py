"""The engine's own errors. ``except caffe.CaffeError`` takes them all: their texts are for the user, one line each.

Each is also what pycaffe's programs expect in its place, a ValueError or a RuntimeError.
"""

import re

MOST_OF_A_VALUE = 200  # characters of a quoted value that a message shows
MOST_OF_A_MESSAGE = 2000
_LONG_VALUE = re.compile(rf"'([^'\n]{{{MOST_OF_A_VALUE}}})[^'\n]+'")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def readable(message):
    """A message that a terminal shows and a person reads: values and the whole cut short, control codes escaped.

    Names and values come from files, which may hold a megabyte of them, or codes that rewrite the terminal.

    Parameters
    ----------
    message : str

    Returns
    -------
    str

    Examples
    --------
    >>> readable("layer 'a\\x1b[2J'")
    "layer 'a\\\\x1b[2J'"
    """
    message = _CONTROL.sub(lambda match: ascii(match[0])[1:-1], message)
    message = _LONG_VALUE.sub(r"'\1...'", message)
    if len(message) > MOST_OF_A_MESSAGE:
        message = message[: MOST_OF_A_MESSAGE - 4] + " ..."
    return message


class CaffeError(Exception):
    """Input that cannot be used. The message names the place, what was expected, what was found, and the remedy."""

    def __init__(self, message=""):
        super().__init__(readable(str(message)))


class _NetTextError(CaffeError, ValueError):
    """What is wrong with the text of a net.

    Attributes
    ----------
    layer : str or None
        Name of the layer the message is about, where it is about one.
    """

    def __init__(self, message, layer=None):
        super().__init__(message)
        self.layer = layer


class PrototxtError(_NetTextError):
    """A net or solver file that cannot be used: ``file:line:col: message``."""


class UpgradeError(_NetTextError):
    """A net that cannot be upgraded to the current format; its reader adds the place."""


class LayerError(CaffeError, ValueError):
    """A layer whose settings or blobs cannot be used."""


class UnknownShapeError(CaffeError, ValueError):
    """A shape that is stored in data alone, which a layer was told not to open (``Layer.configure``).

    The text says where the shape is stored and which field of the prototxt would fix it.
    """


class SolverError(CaffeError, ValueError):
    """A solver file or state that cannot be used."""


class ModelFileError(CaffeError, RuntimeError):
    """A weights or state file that cannot be read or written."""


class OpenError(CaffeError, RuntimeError):
    """A file that cannot be opened: "Could not open file X", as pycaffe says it."""


class ProcessLost(CaffeError, RuntimeError):
    """Another process of a training of several has ended; the weights are those of the last whole iteration."""


class PictureError(CaffeError, ValueError):
    """A picture that is cut short or larger than is allowed."""


class DatabaseError(CaffeError, ValueError):
    """A database, or a list of pictures for one, that cannot be read or written."""


class CommandError(CaffeError, ValueError):
    """Words of a command line that cannot be used."""


class DeviceError(CaffeError, RuntimeError):
    """A device that this machine does not have."""

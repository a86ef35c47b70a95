"""YAML as it is read from files that anybody may have written: no aliases, no depth, and one kind of error."""

import yaml

from dsrg.io.json_files import HALF, is_whole

MOST_CHARACTERS = 1_000_000
MOST_LEVELS = 30  # of lists in lists
MOST_SHOWN = 200  # characters of a reason


def parse_yaml(text):
    """The value of a YAML text.

    Anchors and aliases, by which a short text stands for an endless value, are refused.

    Parameters
    ----------
    text : str

    Returns
    -------
    object
        dict, list, str, numbers, bool, None, dates, sets, bytes.

    Raises
    ------
    ValueError
        Text that is none, too long or too deep; its message is the end of a sentence.
    """
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"it has {len(text)} characters, expected at most {MOST_CHARACTERS}")
    try:
        value = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        said = " ".join(str(error).split())
        raise ValueError(said[:MOST_SHOWN] or type(error).__name__) from None
    except RecursionError:
        raise ValueError("its brackets nest too deep") from None
    except Exception as error:  # the constructors of !!int, !!timestamp, !!binary .. let through what Python raises
        raise ValueError(f"{type(error).__name__}: {error}"[:MOST_SHOWN]) from None
    if not is_whole(value):
        raise ValueError(HALF)
    return value


class _Loader(yaml.SafeLoader):
    """SafeLoader without anchors and aliases, and without texts that nest too deep."""

    _level = 0

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not read; write the value out")
        self._level += 1
        if self._level > MOST_LEVELS:
            raise yaml.YAMLError(f"it nests more than {MOST_LEVELS} levels deep")
        node = super().compose_node(parent, index)
        self._level -= 1
        return node

"""YAML as it is read from files that anybody may have written: no aliases, depth or key twice, one kind of error."""

from collections.abc import Hashable

import yaml

from dsrg.io.json_files import HALF, is_whole

MOST_CHARACTERS = 1_000_000
MOST_LEVELS = 30  # of lists in lists
MOST_SHOWN = 200  # characters of a reason
MOST_OF_KEY = 60  # of a key in one


def parse_yaml(text):
    """The value of a YAML text.

    Anchors and aliases, by which a short text stands for an endless value, are refused; and so is a key that a mapping
    has twice, of which the first would be lost without a word.

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
        Text that is none, too long or too deep, or a key given twice; its message is the end of a sentence.
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
    """SafeLoader without anchors and aliases, without texts that nest too deep, and without keys given twice."""

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

    def construct_mapping(self, node, deep=False):
        self._refuse_twice(node)        # before the base class puts merged keys (<<) among them, which may be repeated
        return super().construct_mapping(node, deep)

    def _refuse_twice(self, node):
        lines = {}
        for key_node, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            merges = key_node.tag == "tag:yaml.org,2002:merge"
            key = key_node.value if merges else self.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if not isinstance(key, Hashable):       # refused by the base class, in its own words
                return
            if key in lines:
                where = f"in lines {lines[key]} and {line}" if lines[key] != line else f"in line {line}"
                raise yaml.YAMLError(f"'{str(key)[:MOST_OF_KEY]}' is given twice, {where}; keep one of them")
            lines[key] = line

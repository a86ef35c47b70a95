"""Commands one after another in one process of several: torchrun shared_commands.py COMMANDS.json (a list of words)."""

import importlib
import json
import sys
from pathlib import Path


def main(commands):
    for module, *words in json.loads(Path(commands).read_text()):
        importlib.import_module(module).main(words)


if __name__ == "__main__":
    main(*sys.argv[1:])

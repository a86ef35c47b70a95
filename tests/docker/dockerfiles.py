"""Stages of a Dockerfile as dockerfile-parse reads them, and which files .dockerignore leaves out."""

import os
import re
import shlex
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from dockerfile_parse import DockerfileParser
from dockerfile_parse.parser import image_from


@dataclass(frozen=True)
class Step:
    """One instruction: `keyword` in capitals, its text with lines joined, the number of its first line."""

    keyword: str
    text: str
    line: int


@dataclass
class Stage:
    """What stands between a FROM and the next; `base` is an image or the name of an earlier stage."""

    name: str
    base: str
    steps: list = field(default_factory=list)


def read_stages(path):
    """Stages of the Dockerfile at `path`, in order, with arguments put in where the FROMs use them."""
    with open(path, "rb") as file:
        parser = DockerfileParser(fileobj=file)
        structure, images = parser.structure, parser.parent_images
    stages = []
    for item in structure:
        if item["instruction"] == "FROM":
            stages.append(Stage(image_from(item["value"])[1] or str(len(stages)), images[len(stages)]))
        elif stages and item["instruction"] != "COMMENT":
            stages[-1].steps.append(Step(item["instruction"], " ".join(item["value"].split()), item["startline"] + 1))
    return stages


def copied(step):
    """({option: value}, sources) of a COPY step."""
    words = shlex.split(step.text)
    options = [word[2:].split("=", 1) for word in words if word.startswith("--")]
    return dict(options), [word for word in words if not word.startswith("--")][:-1]


def ignore_rules(text):
    """(regular expression, whether it lets in again) for each line of a .dockerignore."""
    rules = []
    for line in filter(None, (line.partition("#")[0].strip() for line in text.splitlines())):
        parts = re.findall(r"\*\*/?|\*|\?|[^*?]+", line.lstrip("!").strip("/"))
        wild = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
        rules.append((re.compile("".join(wild.get(part, re.escape(part)) for part in parts)), line.startswith("!")))
    return rules


def is_ignored(path, rules):
    """Whether a build leaves `path` (relative, with slashes) out: the last rule that fits it or a folder above wins."""
    ignored = False
    for expression, lets_in in rules:
        if any(expression.fullmatch(str(p)) for p in (path, *PurePosixPath(path).parents) if str(p) != "."):
            ignored = not lets_in
    return ignored


def context_files(root, rules):
    """Paths (relative, sorted) of the files that a build sent from `root` holds."""
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = [d for d in folders if d not in (".git", ".venv", "work")]  # no rule lets any of these in
        found += [os.path.normpath(os.path.join(os.path.relpath(folder, root), name)) for name in files]
    return sorted(p for p in found if not is_ignored(p, rules))

"""Dockerfiles and .dockerignore as data, for `docker.verify_embedded` and the tests: as much of both as ours use."""

import os
import re
import shlex
from dataclasses import dataclass, field
from pathlib import PurePosixPath


class DockerfileError(ValueError):
    """A Dockerfile uses what is not understood here, or contradicts itself."""


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


def read_steps(text):
    """Instructions of a Dockerfile in order; comments between continued lines are left out, as Docker does."""
    steps, parts, first = [], [], 0
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        first = first if parts else number
        more = line.rstrip().endswith("\\")
        parts.append(line.rstrip().removesuffix("\\").strip())
        if not more:
            keyword, _, rest = " ".join(parts).partition(" ")
            steps.append(Step(keyword.upper(), rest.strip(), first))
            parts = []
    if parts:
        raise DockerfileError(f"line {first}: the file ends within an instruction")
    return steps


def read_stages(text):
    """Stages of a Dockerfile, in order; arguments before the first FROM are put in where the FROMs use them."""
    defaults, stages = {}, []
    for step in read_steps(text):
        if step.keyword == "FROM":
            words = shlex.split(expand(step.text, defaults))
            if len(words) not in (1, 3) or len(words) == 3 and words[1].upper() != "AS":
                raise DockerfileError(f"line {step.line}: expected FROM image [AS name], got '{step.text}'")
            stages.append(Stage(words[2] if len(words) == 3 else str(len(stages)), words[0]))
        elif stages:
            stages[-1].steps.append(step)
        elif step.keyword == "ARG":
            name, _, value = step.text.partition("=")
            defaults[name] = value
        else:
            raise DockerfileError(f"line {step.line}: {step.keyword} before the first FROM")
    return stages


def expand(text, variables):
    """Put variables into a text, $NAME and ${NAME}; a name that is not known becomes empty, as in Docker."""
    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda m: variables.get(m[1] or m[2], ""), text)


def options(text):
    """Leading --name=value options of an instruction, and its remaining words."""
    words, given = shlex.split(text), {}
    while words and words[0].startswith("--"):
        name, _, value = words.pop(0)[2:].partition("=")
        given[name] = value
    return given, words


def ignore_rules(text):
    """(regular expression, whether it lets in again) for each line of a .dockerignore."""
    rules = []
    for line in text.splitlines():
        line = line.strip()
        if line and not line.startswith("#"):
            rules.append((re.compile(_as_expression(line.lstrip("!").strip("/"))), line.startswith("!")))
    return rules


def _as_expression(pattern):
    out = ""
    for part in re.findall(r"\*\*/?|\*|\?|[^*?]+", pattern):
        out += {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(part, re.escape(part))
    return out


def is_ignored(path, rules):
    """Whether Docker leaves `path` (relative, with slashes) out of the context: the last rule that fits wins.

    A rule fits a file when it fits one of the folders above it.
    """
    above = [str(p) for p in PurePosixPath(path).parents if str(p) != "."]
    ignored = False
    for expression, lets_in in rules:
        if any(expression.fullmatch(p) for p in (path, *above)):
            ignored = not lets_in
    return ignored


def context_files(root, rules):
    """Paths (relative, sorted) of the files that a build sent from `root` holds."""
    found = []
    for folder, folders, files in os.walk(root):
        relative = os.path.relpath(folder, root)
        # folders that no rule can let anything in again need not be walked
        folders[:] = [d for d in folders if d not in (".git", ".venv", "work")]
        found += [os.path.normpath(os.path.join(relative, name)) for name in files]
    return sorted(p for p in found if not is_ignored(p.replace(os.sep, "/"), rules))

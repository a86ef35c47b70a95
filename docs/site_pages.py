"""MkDocs hook: the site's pages are the repository's documents, each at its path from the root.

MkDocs reads one folder. Here documents lie beside what they describe, and a README of a folder is a page as well; with
paths from the root a relative link means the same in the repository and on the site.
"""

import re
from pathlib import Path

from mkdocs.structure.files import File, Files

FOLDERS = ("docs", "engine", "CRF", "localization_cues", "tools", "training", "prototxts", "docker", "benchmarks",
           "dsrg", "tests")
EXPERIMENT = re.compile(r"^\| `([\w-]+)` \|", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def documents(root):
    """Paths from `root` of all documents, sorted; without those of experiments that the README's table has not."""
    table = (root / "README.md").read_text(encoding="utf-8").split("\n## Experiments\n")[1].split("\n## ")[0]
    ours = {"README.md", "ablations", *EXPERIMENT.findall(table)}
    inside = (path for folder in FOLDERS for path in (root / folder).rglob("*.md"))
    found = (path.relative_to(root) for path in (*root.glob("*.md"), *inside))
    return sorted(path for path in found if not {"build", "data"} & set(path.parts)
                  and (path.parts[0] != "prototxts" or path.parts[1] in ours))


def linked_files(root, pages):
    """Paths from `root` of the pictures and other files that documents link to."""
    found = set()
    for page in pages:
        for target in LINK.findall((root / page).read_text(encoding="utf-8")):
            path = (root / page).parent / target
            if "://" not in target and not target.endswith(".md") and path.is_file():
                found.add(path.resolve().relative_to(root))
    return sorted(found)


def on_files(files, config):
    """The theme's files stay; those of docs/ are replaced by all documents and what they link to."""
    root = Path(config.config_file_path).resolve().parent
    pages = documents(root)
    kept = [file for file in files if Path(file.abs_src_path).parent != root / "docs"
            and root / "docs" not in Path(file.abs_src_path).parents]
    own = [File(path.as_posix(), str(root), config.site_dir, config.use_directory_urls) for path in pages]
    # a browser shows LICENSE.txt, and saves LICENSE
    own += [File(path.as_posix(), str(root), config.site_dir, config.use_directory_urls,
                 dest_uri=path.as_posix() + ("" if path.suffix else ".txt")) for path in linked_files(root, pages)]
    return Files([*kept, *own])

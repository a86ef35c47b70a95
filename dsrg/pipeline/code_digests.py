"""Which source a command computes with, and a digest of it: a change of code redoes what it computed."""

import ast
import hashlib
from collections import deque
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: folders that modules of the project are found in, in this order
SEARCHED = (".", "training", "engine")
#: packages that count whole: those that are built, by their source, and the engine, which imports by name at first use
BUILT_FROM = {"krahenbuhl2013": "CRF", "densecrf": "CRF", "graph_segmentation": "dsrg/saliency/drfi/native",
              "caffe": "engine/caffe"}
#: modules that choose what computes, and compute nothing: what they may choose counts where it is used
CHOOSERS = ("dsrg/crf_backend.py",)
SOURCES = ("*.py", "*.cpp", "*.h", "CMakeLists.txt")
#: folders of them that nothing is built from
NO_SOURCE = {"build", "cpp_tests"}


def sources_of(modules, root=ROOT):
    """Files of the project that these modules are made of: the modules, and all that they import.

    Imports are followed by reading the source, those inside functions too; nothing is imported. Of a package that only
    passes names on (`from .crf_layer import CRFLayer` in its __init__.py) those count that are asked for, so that a
    net without a CRF does not depend on the CRF.

    Parameters
    ----------
    modules : iterable of str
        Dotted names; "module:name" for what defines `name` of the module.
    root : Path
        Of the project.

    Returns
    -------
    list of Path
        Sorted.
    """
    searched, built_from = _places(root)
    located = cache(lambda module: _located(module, searched, built_from))      # during this call, files stay
    found = set()               # files that count
    followed = set()            # those whose imports count too
    waiting = [tuple(entry.partition(":")[::2]) for entry in modules]
    while waiting:
        module, name = waiting.pop()
        on_the_way, path = located(module)
        found.update(on_the_way)
        if path is None:
            continue
        if name and located(f"{module}.{name}")[1] is not None:
            waiting.append((f"{module}.{name}", ""))
            found.add(path)
            continue
        passed_on = _passed_on(path, name, searched) if name and path.name == "__init__.py" else None
        found.add(path)
        if passed_on is not None:
            waiting.append(passed_on)
        elif path not in followed and path.suffix == ".py" and str(path.relative_to(root)) not in CHOOSERS:
            followed.add(path)
            waiting += _imports(path, searched)
    return sorted(found)


def _places(root):
    """The project's SEARCHED and BUILT_FROM as paths."""
    root = Path(root)
    return [root / name for name in SEARCHED], {name: root / folder for name, folder in BUILT_FROM.items()}


def _located(module, searched, built_from):
    """(files that importing a dotted name reads on the way, the module's own file, or None where it is not ours)."""
    parts = module.split(".")
    if parts[0] in built_from:
        folder = built_from[parts[0]]
        return sorted(p for pattern in SOURCES for p in folder.rglob(pattern)
                      if not NO_SOURCE.intersection(p.relative_to(folder).parts)), None
    for folder in searched:
        if not ((folder / parts[0]).is_dir() or (folder / f"{parts[0]}.py").is_file()):
            continue
        inits = [folder.joinpath(*parts[:k], "__init__.py") for k in range(1, len(parts))]
        own = folder.joinpath(*parts)
        path = next((p for p in (own / "__init__.py", own.parent / f"{own.name}.py") if p.is_file()), None)
        return [init for init in inits if init.is_file()], path
    return [], None


def _passed_on(path, name, searched):
    """(module, name) that a package's __init__.py takes `name` from, or None where it defines it."""
    for module, imported in _imports(path, searched, as_named=name):
        return module, imported
    return None


def _imports(path, searched, as_named=None):
    """(module, name) of every import of a file; name is "" for a whole module. With `as_named`, of that name alone."""
    stat = path.stat()
    found = _imports_of(path, tuple(searched), stat.st_mtime_ns, stat.st_size)
    return [(module, name) for module, name, alias in found if as_named in (None, alias)]


@cache
def _imports_of(path, searched, _time, _size):
    found = []
    for node in _statements(ast.parse(path.read_bytes(), str(path))):
        if isinstance(node, ast.Import):
            found += [(alias.name, "", None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(node, path, searched)
            found += [(module, "" if alias.name == "*" else alias.name, alias.asname or alias.name)
                      for alias in node.names]
    return found


def _statements(tree):
    """A module and all statements in it, outer ones first: a tenth of its nodes."""
    waiting = deque([tree])
    while waiting:
        node = waiting.popleft()
        yield node
        for name in ("body", "handlers", "orelse", "finalbody", "cases"):
            waiting.extend(getattr(node, name, ()))


def _absolute(node, path, searched):
    """The module of a `from` import with its full name."""
    if not node.level:
        return node.module
    package = path.parent
    for _ in range(node.level - 1):
        package = package.parent
    # the innermost folder counts: pylayers lies in training and is imported from there
    folder = max((f for f in searched if package.is_relative_to(f)), key=lambda f: len(f.parts))
    return ".".join([*package.relative_to(folder).parts, *filter(None, [node.module])])


def code_digest(path):
    """SHA-256 of a source file; of Python only what is run counts, so that comments, docstrings and layout do not.

    Parameters
    ----------
    path : Path

    Returns
    -------
    str
    """
    path = Path(path)
    stat = path.stat()
    return _code_digest(path, stat.st_mtime_ns, stat.st_size)


@cache
def _code_digest(path, _time, _size):
    data = path.read_bytes()
    if path.suffix == ".py":
        tree = ast.parse(data, str(path))
        for node in _statements(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and \
                    ast.get_docstring(node, clean=False) is not None:
                del node.body[0]
        data = ast.dump(tree).encode()
    return hashlib.sha256(data).hexdigest()

"""Every place that writes a file writes it beside and renames it, or stands below with the reason why not."""

import ast

from tests.conftest import ROOT

FOLDERS = ("dsrg", "training", "tools", "localization_cues", "engine/caffe")
#: they write beside, sync, rename, and say what to do where that fails
WHOLE = {"atomic_write", "atomic_path", "write_text", "write_atomic"}
#: methods and functions that write a file, by name
WRITERS = {"write_bytes", "write_text", "savez", "savez_compressed", "savetxt", "tofile", "imwrite", "savefig",
           "copyfile", "copy2", "copytree", "move", "symlink_to", "hardlink_to", "symlink", "link", "save_file",
           "mkstemp"}
OTHERWISE = {
    "dsrg/datasets/demo_data.py": (4, "below a folder that is renamed when it is whole"),
    "dsrg/datasets/from_coco.py": (1, "links to photos, made again where they lack"),
    "dsrg/datasets/folder_data_root.py": (1, "links to photos, below a folder that is renamed when it is whole"),
    "dsrg/io/errors.py": (4, "the traceback of a bug, and the null device, twice; failing is allowed for"),
    "dsrg/pipeline/live_page.py": (1, "what the page's process says; failing is allowed for"),
    "dsrg/pipeline/locks.py": (1, "the lock, whose content is a note for people; tested in test_failing_writes.py"),
    "dsrg/pipeline/run_folder.py": (3, "links renamed into place; moves, killed at any in test_kills.py; a folder for "
                                       "temporary files"),
    "dsrg/report/curves.py": (1, "into memory"),
    "dsrg/scoring/score_net.py": (1, "in a folder for temporary files"),
    "training/batch_norm.py": (1, "in a folder for temporary files"),
    "training/caffe_log.py": (1, "grows line by line; tested in test_failing_writes.py"),
    "training/loss_log.py": (1, "grows line by line; tested in test_failing_writes.py"),
    "training/tensorboard_log.py": (1, "grows event by event; tested in test_failing_writes.py"),
    "engine/caffe/__main__.py": (1, "the null device, in the place of an output that takes nothing"),
    "engine/caffe/glog.py": (2, "grows line by line, as glog's; a link renamed into place"),
    "engine/caffe/layers/hdf5.py": (1, "grows batch by batch after its first, which is written whole"),
}


def test_every_write_is_whole_or_has_a_reason():
    found = {}
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            count = sum(1 for _ in direct_writes(ast.parse(path.read_text(encoding="utf-8"))))
            if count and path.name not in ("atomic_files.py", "modelfile.py"):
                found[str(path.relative_to(ROOT))] = count
    assert found == {path: count for path, (count, _) in OTHERWISE.items()}


def direct_writes(tree):
    """Calls that write a file and do not stand in a `with atomic_write(..)`."""
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _writes(node) and not _inside_whole(node, parents):
            yield node


def _name(function):
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _inside_whole(node, parents):
    while node in parents:
        node = parents[node]
        if isinstance(node, ast.With) and any(isinstance(item.context_expr, ast.Call)
                                              and _name(item.context_expr.func) in WHOLE for item in node.items):
            return True
    return False


def _writes(call):
    name, method = _name(call.func), isinstance(call.func, ast.Attribute)
    if name == "open" and method and ast.unparse(call.func.value) == "os":
        return any(flag in ast.unparse(call) for flag in ("O_WRONLY", "O_RDWR", "O_CREAT"))
    if name == "open":
        modes = [*call.args[0 if method else 1 :], *(word.value for word in call.keywords if word.arg == "mode")]
        return any(isinstance(mode, ast.Constant) and isinstance(mode.value, str) and set(mode.value) & set("wax+")
                   for mode in modes[:1])
    if name == "File":
        return any(isinstance(word, ast.Constant) and word.value in ("w", "a", "x", "r+") for word in call.args)
    return method and name in WRITERS


def test_what_counts_as_a_write():
    text = """
with atomic_write(p) as t, open(t, "wb") as f: np.savez(t, a=1)
with other(p) as t:
    open(p, "a"); Path(p).open("w"); os.open(p, os.O_RDWR); h5py.File(p, "a"); p.write_bytes(b"")
    open(p); os.open(p, os.O_RDONLY); h5py.File(p, "r"); write_text(p, "x"); zipfile.ZipFile(p)
"""
    assert [ast.unparse(call) for call in direct_writes(ast.parse(text))] == [
        "open(p, 'a')", "Path(p).open('w')", "os.open(p, os.O_RDWR)", "h5py.File(p, 'a')", "p.write_bytes(b'')"]

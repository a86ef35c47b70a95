"""Settings are arguments: environment variables are read at the edge, by commands, and passed down."""

import ast

import pytest

from tests.conftest import ROOT

ALL = "all of it"
#: file of the engine, the CRF, the library or of trainings -> why it looks at the environment, and at which variables
READERS = {
    "engine/caffe/__init__.py": ("once, at its import: scripts have no other edge", {"picture_files.VARIABLE"}),
    "engine/caffe/glog.py": ("glog's own variable, which Caffe's lines follow", {"GLOG_minloglevel"}),
    "engine/caffe/torchrun.py": ("the numbers that torchrun gives to its processes",
                                 {"WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"}),
    "engine/caffe/waiting.py": ("sets OpenMP's own variables for libraries that read them", {ALL}),
    "dsrg/crf_backend.py": ("the default of a flag that commands have", {"CRF_BACKEND"}),
    "dsrg/find_caffe.py": ("for `from training.findcaffe import caffe` and dsrg.load, which take no arguments",
                           {"ENGINE", "CAFFE_ROOT"}),
    "dsrg/io/command_line.py": ("for the parsers of all commands, and of shells that ask for completions",
                                {"QUIET", "_ARGCOMPLETE", "GLOG_minloglevel"}),
    "dsrg/io/picture_files.py": ("a limit of safety, of all processes and of the engine", {"DSRG_MAX_MEGAPIXELS"}),
    "dsrg/io/process_share.py": ("the numbers that launchers give to processes that share a list", {"name"}),
    "dsrg/io/terminal.py": ("which tell what the terminal takes", {"NO_COLOR", "TERM"}),
    "dsrg/io/workers.py": ("gives the processes that it starts one thread each, and the pool's own no words",
                           {"name", "variables", "PYTHONWARNINGS"}),
    "dsrg/layer_modules.py": ("what nets may import and where they may write, of all processes",
                              {"ALLOW_MODULES", "ALLOW_OUTPUT"}),
    "dsrg/pipeline/run_folder.py": ("hands it on to the check of the user's Caffe", {ALL}),
    "dsrg/pipeline/run_request.py": ("hands it on to a process that asks the engine for its precision", {ALL}),
    "dsrg/pipeline/runner.py": ("hands it on to stages, with the run's settings", {ALL}),
    "training/multi_gpu.py": ("the numbers that launchers give to processes, and what it gives to its own",
                              {"RANK", "LOCAL_RANK", "WORLD_SIZE", "DSRG_NCCL_UID", "LAUNCHER", "OMP_NUM_THREADS"}),
    "training/ranks.py": ("hands it on to the processes that train together", {ALL}),
    "training/batch_norm.py": ("hands it on to a process of its own", {ALL}),
    "training/train.py": ("defaults of flags, and of Caffe's own log",
                          {"ENGINE", "CAFFE_ROOT", "GLOG_minloglevel"}),
}


def variables(text):
    """Variables of the environment that a module's text reads or sets; ALL where it takes them together."""
    tree = ast.parse(text)
    constants = {target.id: value.value for node in tree.body if isinstance(node, ast.Assign)
                 for target, value in _pairs(node) if isinstance(value, ast.Constant)}
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv"):
            found |= {_name(key, constants) for key in _keys(node, parents)}
    return found


def _pairs(assign):
    for target in assign.targets:
        if isinstance(target, ast.Tuple) and isinstance(assign.value, ast.Tuple):
            yield from zip(target.elts, assign.value.elts, strict=False)
        elif isinstance(target, ast.Name):
            yield target, assign.value


def _keys(node, parents):
    """What is asked for: the argument of a call, the index, the left side of `in`; None for all of it."""
    parent = parents[node]
    if isinstance(parent, ast.Subscript):
        return [parent.slice]
    if isinstance(parent, ast.Compare):
        return [parent.left]
    if isinstance(parent, ast.Attribute) and isinstance(parents[parent], ast.Call):
        return parents[parent].args[:1]
    if isinstance(parent, ast.Call) and node.attr == "getenv":
        return parent.args[:1]
    return [None]


def _name(key, constants):
    if isinstance(key, ast.Constant):
        return key.value
    return constants.get(getattr(key, "id", None), ALL if key is None else ast.unparse(key))


@pytest.mark.parametrize("folder", ["engine", "CRF", "dsrg", "training"])
def test_environment_is_read_at_the_edge(folder):
    found = {str(path.relative_to(ROOT)): variables(path.read_text(encoding="utf-8"))
             for path in sorted((ROOT / folder).rglob("*.py"))}
    assert found
    assert {path: names for path, names in found.items() if names} == {
        path: wanted for path, (_, wanted) in READERS.items() if path.startswith(f"{folder}/")}


def test_the_check_sees_which_variables_are_read():
    assert variables("import os\nA, B = 'X', 'Y'\nos.environ.get(A)\nos.environ[B] = '1'\n'Z' in os.environ\n"
                     "os.getenv('W')\n") == {"X", "Y", "Z", "W"}
    assert variables("f(env={**os.environ})") == {ALL}
    assert variables("import os\nos.environ.get(name)") == {"name"}
    assert variables("environment = {}\nenvironment['A']") == set()

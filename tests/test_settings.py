"""Settings are arguments: environment variables are read at the edge, by commands, and passed down."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
#: file of the library or of trainings -> why it looks at the environment
READERS = {
    "dsrg/find_caffe.py": "ENGINE and CAFFE_ROOT, for `from training.findcaffe import caffe`, which takes no arguments",
    "dsrg/io/command_line.py": "QUIET, which a run hands on to its stages, and a shell that asks for completions",
    "dsrg/io/picture_files.py": "the limit of picture sizes, of all processes and of the engine",
    "dsrg/io/terminal.py": "NO_COLOR and TERM, which tell what the terminal takes",
    "dsrg/io/workers.py": "gives the processes that it starts one thread each",
    "dsrg/layer_modules.py": "what nets may import, of all processes",
    "dsrg/pipeline/run_folder.py": "hands the environment on to the check of the user's Caffe",
    "dsrg/pipeline/run_request.py": "hands the environment on to a process that asks the engine for its precision",
    "dsrg/pipeline/runner.py": "hands the environment on to stages, with the run's settings",
    "training/multi_gpu.py": "the numbers that launchers give to processes, and what it gives to its own",
    "training/batch_norm.py": "hands the environment on to a process of its own",
    "training/train.py": "defaults of flags",
}


def reads_environment(path):
    return any(isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
               for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


@pytest.mark.parametrize("folder", ["dsrg", "training"])
def test_environment_is_read_at_the_edge(folder):
    paths = sorted((ROOT / folder).rglob("*.py"))
    assert paths
    found = {str(path.relative_to(ROOT)) for path in paths if reads_environment(path)}
    assert found - READERS.keys() == set()

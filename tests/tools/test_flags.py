"""No dead knobs: every flag of every command is read by the code of its package."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("tools", "training", "localization_cues", "benchmarks", "docker")


def flags_of(tree):
    """Names under which argparse stores the arguments that a module declares."""
    for call in ast.walk(tree):
        if not (isinstance(call, ast.Call) and getattr(call.func, "attr", None) == "add_argument"):
            continue
        named = [k.value.value for k in call.keywords if k.arg == "dest"]
        words = [a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        long = [word for word in words if word.startswith("--")]
        if any(k.arg == "action" and getattr(k.value, "value", None) in ("version", "help") for k in call.keywords):
            continue
        for name in named or (long or words)[:1]:
            yield name.lstrip("-").replace("-", "_")


def names_read(tree):
    """Attributes that a module reads, `args.name` among them."""
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Load)}


COMMANDS = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))
            if "add_argument" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_flag_is_read(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    flags = list(flags_of(tree))
    read = set().union(*(names_read(ast.parse(p.read_text(encoding="utf-8"))) for p in path.parent.glob("*.py")))
    assert flags, "no flags found in a file that declares some"
    assert not [flag for flag in flags if flag not in read]


def test_the_check_sees_a_dead_flag():
    tree = ast.parse("p.add_argument('-n', '--dead-knob', type=int)\np.add_argument('--out')\nprint(args.out)")
    assert list(flags_of(tree)) == ["dead_knob", "out"]
    assert "dead_knob" not in names_read(tree) and "out" in names_read(tree)

"""No dead knobs: every flag of every command is read from the namespace that the command parsed."""

import ast

import pytest

from tests.conftest import ROOT

PACKAGES = ("tools", "training", "localization_cues", "benchmarks", "docker")
#: flags that several commands share are declared in these modules; each command that calls them must read them
SHARED = {"add_flags": ROOT / "training" / "device_flags.py"}


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


def namespaces(tree):
    """Names that hold the parsed arguments: what parse_args gave, and parameters called args."""
    names = {arg.arg for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
             for arg in node.args.args if arg.arg == "args"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and _is_parsing(node.value):
            names |= {n.id for target in node.targets for n in ast.walk(target) if isinstance(n, ast.Name)}
    return names


def flags_read(tree):
    """Flags that a module reads: `args.name`, or strings of a function that asks for getattr(args, ..)."""
    held = namespaces(tree)
    read = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
            and (getattr(node.value, "id", None) in held or _is_parsing(node.value))}
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef) and any(_is_getattr(node, held) for node in ast.walk(function)):
            read |= {node.value for node in ast.walk(function)
                     if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return read


def _is_parsing(node):
    return isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "parse_args"


def _is_getattr(node, held):
    return (isinstance(node, ast.Call) and getattr(node.func, "id", None) == "getattr" and bool(node.args)
            and isinstance(node.args[0], ast.Name) and node.args[0].id in held)


def dead_flags(tree):
    """Declared flags that nothing reads."""
    declared = set(flags_of(tree))
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and getattr(call.func, "id", getattr(call.func, "attr", "")) in SHARED:
            declared |= set(flags_of(ast.parse(SHARED[getattr(call.func, "id", "add_flags")].read_text())))
    return declared, sorted(declared - flags_read(tree))


COMMANDS = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))
            if "add_argument" in path.read_text(encoding="utf-8") and path not in SHARED.values()]


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_flag_is_read(path):
    declared, dead = dead_flags(ast.parse(path.read_text(encoding="utf-8")))
    assert declared, "no flags found in a file that declares some"
    assert dead == []


def test_the_check_sees_a_dead_flag():
    tree = ast.parse("args = p.parse_args()\np.add_argument('-n', '--dead-knob', type=int)\np.add_argument('--out')\n"
                     "print(args.out, other.dead_knob, 'dead_knob')")
    assert dead_flags(tree) == ({"dead_knob", "out"}, ["dead_knob"])


def test_the_check_sees_shared_flags_that_nobody_reads():
    tree = ast.parse("add_flags(p)\nargs = p.parse_args()\nprint(args.device)")
    assert dead_flags(tree)[1] == ["precision"]

"""What is read from the namespace that a command's parser makes: its attributes, followed through calls.

The namespace is what parse_args returns. It is followed by name into the functions that it is handed to, those of
other modules of the project too. `vars(args)` reads nothing: a value that is only recorded changes nothing.
"""

import ast
from functools import lru_cache

from tests.conftest import ROOT

PARSING = {"parse_args", "parse_known_args", "parse_intermixed_args"}


@lru_cache
def tree_of(module):
    """The syntax tree of a module of the project, by its dotted name; None for one of others."""
    path = ROOT / (module.replace(".", "/") + ".py")
    return ast.parse(path.read_text(encoding="utf-8")) if path.is_file() else None


class Reader:
    """Attributes read from the namespaces of one command.

    Parameters
    ----------
    module : str
        Dotted name, of a file below the project's root.
    act : callable, optional
        What a subcommand sets as `act`, called as `args.act(..)`.
    tree : ast.Module, optional
        Instead of the module's own.
    """

    def __init__(self, module, act=None, tree=None):
        self.trees = {module: tree or tree_of(module)}
        self.act = act
        self.read, self.seen = set(), set()
        for function in functions(self.trees[module]).values():
            self.follow(module, function, _parsed_in(function))
        self.follow(module, self.trees[module], _parsed_in(self.trees[module], outside=True), outside=True)

    def follow(self, module, scope, held, outside=False):
        """Add what a function, or a module outside its functions, reads from the names `held`."""
        key = (module, getattr(scope, "name", ""), frozenset(held))
        if key in self.seen:
            return
        self.seen.add(key)
        for node in _nodes(scope, outside):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and _is_namespace(node.value, held):
                self.read.add(node.attr)
            elif isinstance(node, ast.Call):
                self._call(module, scope, node, held)

    def _call(self, module, scope, call, held):
        if getattr(call.func, "id", "") == "getattr" and _is_namespace(call.args[0], held):
            self.read |= set(_values(call.args[1], scope))
            return
        called, function = self._function(module, call.func, held)
        if function is None:
            return
        names = [arg.arg for arg in (*function.args.posonlyargs, *function.args.args)]
        handed = {name for name, value in zip(names, call.args, strict=False) if _is_namespace(value, held)}
        handed |= {word.arg for word in call.keywords if word.arg and _is_namespace(word.value, held)}
        if handed:
            self.follow(called, function, handed)

    def _function(self, module, func, held):
        """(module, function) that an expression calls, (module, None) where it is not one of the project's."""
        if isinstance(func, ast.Attribute) and func.attr == "act" and _is_namespace(func.value, held):
            name = self.act and self.act.__name__
        else:
            name = getattr(func, "id", "")
        tree = self.trees.get(module) or tree_of(module)
        if name in functions(tree):
            return module, functions(tree)[name]
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module and tree_of(node.module) is not None:
                for alias in node.names:
                    if (alias.asname or alias.name) == name:
                        return node.module, functions(tree_of(node.module)).get(alias.name)
        return module, None


def functions(tree):
    """Functions of a module by name, those of its classes too."""
    return {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def _nodes(scope, outside):
    """All nodes below a function; of a module those that lie in no function."""
    if not outside:
        yield from ast.walk(scope)
        return
    for child in ast.iter_child_nodes(scope):
        if not isinstance(child, ast.FunctionDef):
            yield child
            yield from _nodes(child, outside)


def _parsed_in(scope, outside=False):
    """Names that what parse_args gave is assigned to."""
    return {name.id for node in _nodes(scope, outside) if isinstance(node, ast.Assign) and _is_parsing(node.value)
            for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)}


def _is_parsing(node):
    return isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in PARSING


def _is_namespace(node, held):
    return getattr(node, "id", None) in held or _is_parsing(node)


def _values(node, scope):
    """Texts that the second argument of getattr may be: itself, or those of the tuple that its name runs through."""
    if isinstance(node, ast.Constant):
        return [node.value]
    loops = [loop.iter for loop in ast.walk(scope) if isinstance(loop, (ast.comprehension, ast.For))
             and getattr(loop.target, "id", "") == getattr(node, "id", None)]
    return [value.value for loop in loops for value in ast.walk(loop) if isinstance(value, ast.Constant)]


def unread(module, parser, act=None):
    """Flags of a parser that the command never reads."""
    wanted = {action.dest for action in parser._actions} - {"help", "==SUPPRESS=="}
    return sorted(wanted - Reader(module, act).read)



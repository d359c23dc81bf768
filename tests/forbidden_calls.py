"""What a program must not do with data, found in its source: nothing is run."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any

# Modules that make a program of data or reach another machine, and whatever they hold: `urllib.request.urlopen`.
MODULES = (
    *("pickle", "_pickle", "dill", "marshal", "shelve", "yaml", "ruamel", "xml", "lxml"),
    *("urllib.request", "requests", "http.client", "httpx", "aiohttp", "ftplib", "smtplib", "telnetlib", "xmlrpc"),
    *("socket", "tarfile", "subprocess", "pty", "webbrowser", "torch.hub", "torch.package", "huggingface_hub"),
)  # fmt: skip
FUNCTIONS = (
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "os.startfile", "os.execv", "os.spawnv"),
    *("tempfile.mktemp", "shutil.unpack_archive", "torch.jit.load", "joblib.load", "pandas.read_pickle"),
)  # fmt: skip
METHODS = ("extract", "extractall")  # of archives: whoever packed one names the files

Keywords = dict[str | None, Any]


def _says_no_pickles(said: Keywords) -> bool:
    return said.get("allow_pickle", False) is False


# Functions that are safe as long as they are told so, whichever order their other arguments come in.
CAREFUL: dict[str, Callable[[Keywords], bool]] = {
    "torch.load": lambda said: said.get("weights_only") is True,
    "numpy.load": _says_no_pickles,
    "numpy.lib.format.read_array": _says_no_pickles,
    "PIL.Image.open": lambda said: "formats" in said,  # or a picture may be PostScript, which is a program
}
# Of subprocess, where only a plain False is one; of Gradio, whose tunnel True is.
FLAGS: dict[str, Callable[[Any], bool]] = {
    "shell": lambda value: value is not False,
    "share": lambda value: value is True,
}


def offences(source: str, path: str = "source") -> list[str]:
    """Every offence in a program's text: its file and line, and what it is."""
    return [f"{path}:{line}: {what}" for line, what in _Finder().found(ast.parse(source))]


class _Finder:
    def __init__(self) -> None:
        self.names: dict[str, str] = {}  # of this file: what they were imported as

    def found(self, tree: ast.AST) -> Iterator[tuple[int, str]]:
        for node in ast.walk(tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                self._learn(node)
        called = {node.func: node for node in ast.walk(tree) if isinstance(node, ast.Call)}
        for node in ast.walk(tree):
            for what in self._wrong(node, called):
                yield getattr(node, "lineno", 0), what

    def _learn(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            if isinstance(node, ast.ImportFrom):
                self.names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
            elif alias.asname:
                self.names[alias.asname] = alias.name

    def _wrong(self, node: ast.AST, called: dict[ast.expr, ast.Call]) -> Iterator[str]:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from filter(_is_module, _imported(node))
        elif isinstance(node, (ast.Name, ast.Attribute)):
            yield from self._wrong_name(node, called.get(node))
        elif isinstance(node, ast.Call):
            said = _keywords(node)
            yield from (flag for flag, bad in FLAGS.items() if flag in said and bad(said[flag]))

    def _wrong_name(self, node: ast.Name | ast.Attribute, call: ast.Call | None) -> Iterator[str]:
        name = self._dotted(node)
        if name in FUNCTIONS or (isinstance(node, ast.Attribute) and _is_module(name)):
            yield name
        if name in CAREFUL and (call is None or len(call.args) > 1 or not CAREFUL[name](_keywords(call))):
            yield name
        if isinstance(node, ast.Attribute) and node.attr in METHODS and call is not None:
            yield node.attr

    def _dotted(self, node: ast.expr) -> str:
        if isinstance(node, ast.Attribute):
            return f"{self._dotted(node.value)}.{node.attr}"
        return self.names.get(node.id, node.id) if isinstance(node, ast.Name) else "?"


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    for alias in node.names:
        yield alias.name if isinstance(node, ast.Import) else f"{node.module}.{alias.name}"


def _is_module(name: str) -> bool:
    return any(f"{name}.".startswith(f"{module}.") for module in MODULES)


def _keywords(call: ast.Call) -> Keywords:
    """What is said by name: constants as they are, anything else as a text. ``**more`` may say anything."""
    said: Keywords = {}
    for keyword in call.keywords:
        value = keyword.value
        said[keyword.arg] = value.value if isinstance(value, ast.Constant) else ast.unparse(value)
    if None in said:
        said |= dict.fromkeys(("weights_only", "allow_pickle"), "?")
    return said

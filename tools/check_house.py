"""The house rules that no linter knows, checked over the files that git tracks or would track.

Rules: sizes of files and functions, docstrings, full annotations, names of modules, and words that must not be in the
repository. `python tools/check_house.py [ROOT]` prints `file:line: what is wrong` for each finding and exits with 1 if
there is any.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
DRAWERS = frozenset({"utils", "util", "common", "helpers", "helper", "manager", "managers", "misc"})

# Source that must be typed and documented, and test files, by their first folder.
SOURCE = ("src", "tools", "bench", "lab")
TESTS = ("tests",)

# Each is (pattern, reason). Written with character classes so that this file does not contain what it forbids.
FORBIDDEN = (
    (re.compile(r"(?<![\w.])/(wor[k]|roo[t])/[\w.]"), "a path of one machine"),
    (
        re.compile(r"pythonhoste[d]\.|\bpyp[i]\.org|deb\.debia[n]\.org|registry\.npmj[s]"),
        "a package registry's host name",
    ),
)
UNFINISHED = re.compile(r"#\s*(TOD[O]|FIXM[E]|XX[X])\b|raise NotImplementedErro[r]")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One breach of a rule: path from the repository's root, line from 1, and what is wrong."""

    path: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


def python_findings(path: str, text: str) -> Iterator[Finding]:
    """Breaches in one Python file. `path` is relative to the root and decides which rules hold for it."""
    top = PurePosixPath(path).parts[0]
    lines = text.count("\n") + (not text.endswith("\n") and bool(text))
    if lines > MAX_FILE_LINES:
        yield Finding(path, lines, f"{lines} lines; a file has at most {MAX_FILE_LINES}")
    if PurePosixPath(path).stem in DRAWERS or DRAWERS.intersection(PurePosixPath(path).parts):
        yield Finding(path, 1, "a drawer is not a module: name what is in it")
    for number, line in enumerate(text.splitlines(), start=1):
        if UNFINISHED.search(line):
            yield Finding(path, number, "unfinished work is finished or filed as an issue, not marked")
    tree = ast.parse(text, filename=path)
    functions = [each for each in ast.walk(tree) if isinstance(each, Function)]
    for function in functions:
        length = (function.end_lineno or function.lineno) - function.lineno + 1
        if length > MAX_FUNCTION_LINES:
            what = f"{function.name} has {length} lines; a function has at most {MAX_FUNCTION_LINES}"
            yield Finding(path, function.lineno, what)
    if top in SOURCE:
        yield from _undocumented(path, tree)
        for function in functions:
            yield from _untyped(path, function)
    elif top in TESTS and PurePosixPath(path).name.startswith("test_"):
        for function in functions:
            if function.name.startswith("test_") and ast.get_docstring(function) is None:
                yield Finding(path, function.lineno, f"{function.name} does not state its promise in a docstring")


def text_findings(path: str, text: str) -> Iterator[Finding]:
    """Breaches in any text file: words that must not be in the repository."""
    for number, line in enumerate(text.splitlines(), start=1):
        for pattern, reason in FORBIDDEN:
            if found := pattern.search(line):
                yield Finding(path, number, f"{found.group(0)!r} is {reason}")


def _undocumented(path: str, tree: ast.Module) -> Iterator[Finding]:
    if tree.body and ast.get_docstring(tree) is None:
        yield Finding(path, 1, "the module has no docstring")
    scopes: list[tuple[str, list[ast.stmt]]] = [("", tree.body)]
    while scopes:
        prefix, body = scopes.pop()
        for item in body:
            if not isinstance(item, ast.ClassDef | Function) or item.name.startswith("_"):
                continue
            overload = any(ast.unparse(each).endswith("overload") for each in item.decorator_list)
            setter = any(ast.unparse(each).endswith((".setter", "override")) for each in item.decorator_list)
            if ast.get_docstring(item) is None and not overload and not setter:
                yield Finding(path, item.lineno, f"{prefix}{item.name} has no docstring")
            if isinstance(item, ast.ClassDef):
                scopes.append((f"{prefix}{item.name}.", item.body))


def _untyped(path: str, function: Function) -> Iterator[Finding]:
    arguments = function.args
    listed = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    listed += [each for each in (arguments.vararg, arguments.kwarg) if each is not None]
    bare = [each.arg for each in listed if each.annotation is None and each.arg not in {"self", "cls"}]
    if bare:
        yield Finding(path, function.lineno, f"{function.name}: no type for {', '.join(bare)}")
    if function.returns is None:
        yield Finding(path, function.lineno, f"{function.name}: no return type")


def repository_files(root: Path) -> list[str]:
    """Paths below `root` that git tracks, or would track, and that are there; sorted."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout.decode().split("\0")
    return sorted(path for path in set(listed) if path and (root / path).is_file())


def findings(root: Path) -> list[Finding]:
    """Every breach in the repository at `root`, sorted by place."""
    found: list[Finding] = []
    for path in repository_files(root):
        try:
            text = (root / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # an image or a font
        found.extend(text_findings(path, text))
        if path.endswith(".py") and PurePosixPath(path).parts[0] in SOURCE + TESTS:
            found.extend(python_findings(path, text))
    return sorted(found)


def main(arguments: list[str]) -> int:
    """Print the findings; 1 if there is any, else 0."""
    root = Path(arguments[0]) if arguments else Path(__file__).resolve().parent.parent
    found = findings(root)
    for each in found:
        print(each)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

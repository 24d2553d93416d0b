"""The house check finds what it says it finds, and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tools" / "check_house.py"

GOOD = '"""A module."""\n\n\ndef length(text: str) -> int:\n    """Characters of the text."""\n    return len(text)\n'


@pytest.fixture
def repository(tmp_path):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True, timeout=30)
    return tmp_path


def run(root):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(root)], capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, done.stdout


def test_a_good_file_passes(repository):
    """A documented, typed, short module has no finding and the exit status is 0."""
    (repository / "src").mkdir()
    (repository / "src" / "good.py").write_text(GOOD)
    assert run(repository) == (0, "")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("src/long.py", '"""Long."""\n' + "A = 1\n" * 400, "401 lines; a file has at most 400"),
        (
            "src/deep.py",
            '"""Deep."""\n\n\ndef deep() -> None:\n    """Do much."""\n' + "    print()\n" * 59,
            "deep has 61 lines; a function has at most 60",
        ),
        ("src/bare.py", "A = 1\n", "the module has no docstring"),
        ("src/bare.py", '"""M."""\n\n\ndef bare() -> None:\n    print()\n', "bare has no docstring"),
        ("src/bare.py", '"""M."""\n\n\nclass Bare:\n    A = 1\n', "Bare has no docstring"),
        (
            "src/bare.py",
            '"""M."""\n\n\nclass Box:\n    """A box."""\n\n    def open(self) -> None:\n        print()\n',
            "Box.open has no docstring",
        ),
        ("src/loose.py", GOOD.replace("text: str", "text"), "length: no type for text"),
        ("src/loose.py", GOOD.replace(" -> int", ""), "length: no return type"),
        ("src/utils.py", GOOD, "a drawer is not a module"),
        ("src/helpers/thing.py", GOOD, "a drawer is not a module"),
        ("src/later.py", GOOD + "# TO" + "DO: more\n", "unfinished work"),
        ("src/later.py", GOOD + "raise NotImplemented" + "Error\n", "unfinished work"),
        ("tests/test_x.py", "def test_x():\n    pass\n", "test_x does not state its promise"),
        ("README.md", "see /wo" + "rk/main\n", "is a path of one machine"),
        ("notes.txt", "https://py" + "pi.org/simple\n", "is a package registry's host name"),
    ],
)
def test_each_breach_is_found_with_its_place(repository, name, text, expected):
    """Each rule, broken alone, gives exit status 1 and one line that names file, line and rule."""
    path = repository / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    status, output = run(repository)
    assert status == 1
    assert [line for line in output.splitlines() if line.startswith(f"{name}:") and expected in line]


def test_private_names_and_ignored_files_are_free(repository):
    """What is private needs no docstring, and what git ignores is not looked at."""
    (repository / "src").mkdir()
    (repository / ".gitignore").write_text("/src/made.py\n")
    (repository / "src" / "made.py").write_text("A = 1\n")
    (repository / "src" / "one.py").write_text('"""One."""\n\n\ndef _inner() -> None:\n    print()\n')
    assert run(repository) == (0, "")


def test_this_repository_keeps_its_own_rules():
    """The whole tree, as it stands, has no finding."""
    assert run(ROOT) == (0, "")

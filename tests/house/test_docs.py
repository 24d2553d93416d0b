"""The documentation holds together: every relative link leads to a file and, with a fragment, to a heading in it."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)


def pages():
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout.split("\n")
    return sorted({path for path in listed if path and (ROOT / path).is_file()})


def anchor(heading):
    """Return the fragment of a heading as GitHub makes it."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def anchors(path):
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    return {anchor(line.lstrip("#")) for line in text.splitlines() if re.match(r"#{1,6} ", line)}


@pytest.mark.parametrize("page", pages())
def test_every_relative_link_of_the_documentation_leads_somewhere(page):
    """A link to a file of the repository names one that is there; a fragment names a heading of that file."""
    path = ROOT / page
    text = re.sub(
        r"`[^`\n]*`", lambda found: found.group().replace("](", "] ("), FENCE.sub("", path.read_text("utf-8"))
    )
    broken = []
    for first, second in LINK.findall(text):
        link = first or second
        if re.match(r"[a-z]+:", link):
            continue
        target, _, fragment = link.partition("#")
        there = (path.parent / target).resolve() if target else path
        if not there.exists() or (fragment and there.suffix == ".md" and fragment not in anchors(there)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", pages())
def test_the_documentation_stands_alone(page):
    """No page needs something outside the repository to be understood."""
    assert not re.search(r"\.\./shared|DESIGN\.md|FACTS\.md", (ROOT / page).read_text("utf-8"))


def test_every_decision_is_listed():
    """docs/decisions/README.md links to every page beside it."""
    folder = ROOT / "docs" / "decisions"
    listed = (folder / "README.md").read_text("utf-8")
    assert [path.name for path in sorted(folder.glob("*.md")) if f"({path.name})" not in listed] == ["README.md"]


def test_every_dependency_has_its_reason():
    """What requirements/*.in ask for is in docs/decisions/dependencies.md; what pyproject.toml asks for is locked."""
    reasons = (ROOT / "docs" / "decisions" / "dependencies.md").read_text("utf-8")
    for source in sorted((ROOT / "requirements").glob("*.in")):
        if source.stem == "uv":
            continue
        for line in source.read_text("utf-8").splitlines():
            name = re.split(r"[\[<>=~ ;]", line.strip())[0]
            if name and not name.startswith(("#", "-")):
                assert re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", reasons), name

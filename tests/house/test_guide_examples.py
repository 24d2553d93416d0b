"""The settings that the guide shows are settings that the program takes."""

import re
from pathlib import Path

from edgeward.edge.settings import parse_settings

DOCS = Path(__file__).resolve().parents[2] / "docs"
TOML = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def examples(page):
    return [text for text in TOML.findall((DOCS / page).read_text("utf-8")) if "location" in text]


def test_the_edges_of_the_guide_can_be_started(tmp_path):
    """Every edge.toml of "A real fleet" is accepted as it stands, beside a file with the webhook's URL."""
    (tmp_path / "webhook").write_text("https://alerts.example/hook\n")
    found = [parse_settings(text, folder=tmp_path) for text in examples("guide/real-fleet.md")]
    assert [edge.name for edge in found] == ["fra", "iad"]
    assert found[0].webhook == "https://alerts.example/hook"
    assert found[1].store.token_file == tmp_path / "token"


def test_the_defaults_of_the_guide_are_those_of_the_program():
    """The page "Operating an edge" shows settings with their defaults: leaving them out changes nothing."""
    (text,) = examples("guide/operating-an-edge.md")
    shown = parse_settings(text)
    least = "\n".join(text.splitlines()[:4])  # what is needed
    plain = parse_settings(f'{least}\n[state]\n[metrics]\nlisten = "127.0.0.1:9145"\n')
    assert shown.limits == plain.limits
    assert shown.state == plain.state
    assert shown.addresses == plain.addresses
    assert shown.metrics == plain.metrics
    for name in ("listen", "port", "engine", "workers", "old_workers_end", "access_log", "access_log_size"):
        assert getattr(shown.http, name) == getattr(plain.http, name), name

"""Configurations are made of parts that earlier ones have made: they are the same, in less time."""

from pathlib import Path

import pytest

from conformance.sites import build
from edgeward.serve.engine import ServedSite, ServedView
from edgeward.serve.nginx import headers
from edgeward.serve.nginx import render as render_module
from edgeward.serve.nginx.book import Parts
from edgeward.serve.nginx.render import Machine, render
from edgeward.serve.nginx.settings import NginxSettings
from serve.nginx.test_scale import site_number

SETTINGS = NginxSettings(folder=Path("/engine"), listen=("127.0.0.1:80",), health=Path("/health.json"))


def view_of(*numbers: int) -> ServedView:
    sites = [build(site_number(number)).manifest for number in numbers]
    return ServedView("fra", tuple(ServedSite(each, Path("/tree"), Path("/kept")) for each in sites))


def rendered(view: ServedView, parts: Parts | None = None) -> str:
    config = render(view, SETTINGS, Machine(None, 10_000), 7, parts)
    if parts is not None:
        parts.tidy()
    return config


def test_a_configuration_is_the_same_whatever_was_made_before() -> None:
    """Byte for byte, after others with more sites, fewer and none."""
    parts = Parts()
    for numbers in (range(12), (0, 3), (), (3, 9, 10), range(12)):
        view = view_of(*numbers)
        assert rendered(view, parts) == rendered(view)


def test_a_switch_of_one_site_makes_the_parts_of_that_one_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules and headers of the other releases are those that were made for the configuration before."""
    made: list[str] = []
    original = headers._field_values

    def count(book, manifest, name, default):
        made.append(f"{manifest.settings.name} {name}")
        return original(book, manifest, name, default)

    def rules(book, manifest):
        made.append(f"{manifest.settings.name} rules")
        return original_rules(book, manifest)

    original_rules = render_module.rule_maps
    monkeypatch.setattr(headers, "_field_values", count)
    monkeypatch.setattr(render_module, "rule_maps", rules)
    parts = Parts()
    rendered(view_of(0, 3, 6), parts)
    made.clear()
    rendered(view_of(0, 3, 9), parts)
    assert {entry.partition(" ")[0] for entry in made} == {"s9"}
    assert "s9 rules" in made
    rendered(view_of(9), parts)
    made.clear()
    rendered(view_of(0, 9), parts)
    assert {entry.partition(" ")[0] for entry in made} == {"s0"}, "what went is forgotten, what stayed is not"


def test_two_thousand_blocks_are_told_apart_by_where_they_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is compared with those alone that it may overlap with, not with every other."""
    compared = 0
    original = headers.disjoint

    def count(one, other):
        nonlocal compared
        compared += 1
        return original(one, other)

    monkeypatch.setattr(headers, "disjoint", count)
    text = (
        "".join(f"/docs/v{number}/*\n  X-Version: {number}\n" for number in range(1_998)) + "/docs/*\n  X-Version: x\n"
    )
    site = site_number(0)
    manifest = build(type(site)("many", site.files, "", text)).manifest
    rendered(ServedView("fra", (ServedSite(manifest, Path("/tree"), Path("/kept")),)))
    assert 0 < compared < 10_000

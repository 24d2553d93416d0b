"""The contract of SITE-FORMAT, line by line, on every engine: black box, over sockets, byte for byte."""

import gzip
import re
from collections.abc import Iterator

import brotli
import pytest

from conformance.case import MANDATORY, Case, check_fields
from conformance.engines import EDGE, ENGINES, HEALTH, Running, running
from conformance.sites import Built, Shelf, build, view_of
from conformance.tables import conditions, fields, hosts, rules, urls
from conformance.wire import Ask, Got, Wire
from edgeward.core import pages
from edgeward.core.paths import encode_path
from edgeward.core.resolve import Response, View, resolve
from edgeward.core.urls import url_path

CASES: list[Case] = [*urls.CASES, *rules.CASES, *fields.CASES, *conditions.CASES, *hosts.CASES]


class Served:
    """An engine that serves all sites of the tables. wire: a connection to it."""

    def __init__(self, engine: Running, sites: list[Built], view: View) -> None:
        self.engine = engine
        self.sites = {built.site.name: built for built in sites}
        self.view = view
        self.wire = Wire(engine.address)


@pytest.fixture(scope="module", params=list(ENGINES))
def served(request) -> Iterator[Served]:
    sites = list({case.site.name: build(case.site) for case in CASES}.values())
    with running(request.param) as engine:
        engine.activate(Shelf(engine.folder).serve(EDGE, sites))
        found = Served(engine, sites, view_of(EDGE, sites))
        with found.wire:
            yield found


def decoded(got: Got) -> bytes:
    """The body without its content-coding."""
    coding = got.values("content-encoding")
    if coding == ["br"]:
        return brotli.decompress(got.body)
    if coding == ["gzip"]:
        return gzip.decompress(got.body)
    assert coding == []
    return got.body


def flat(response: Response, built: Built | None) -> tuple[int, list[tuple[str, str]], bytes]:
    """What `resolve` says, in the form of `Got.comparable`."""
    body = response.body
    if not isinstance(body, bytes):
        assert built is not None
        body = built.blobs[body.digest][body.start : body.end]
    return response.status, sorted((name.lower(), value) for name, value in response.headers), body


@pytest.mark.parametrize("wanted", CASES, ids=[f"{case.site.name}: {case.name}" for case in CASES])
def test_what_the_contract_says_is_what_comes_back(served: Served, wanted: Case):
    """Status, body, Location and the named fields are those of the case; all else is what `resolve` says."""
    got = served.wire.ask(wanted.ask)
    built = served.sites[wanted.site.name]
    assert got.status == wanted.status
    if wanted.to is not None:
        assert got.values("location") == [wanted.to]
    else:
        assert got.values("location") == []
    if wanted.serves is not None and wanted.ask.method != "HEAD":
        source = wanted.site.files.get(wanted.serves, wanted.site.kept.get(wanted.serves))
        assert decoded(got) == source
    if wanted.builtin:
        assert got.body == (b"" if wanted.ask.method == "HEAD" else pages.page(wanted.status))
    for name in MANDATORY:
        if name.title() not in {key.title() for key in wanted.fields}:
            assert len(got.values(name)) == 1, f"{name}: {got.values(name)}"
    check_fields(wanted, got)
    expected = flat(resolve(served.view, wanted.ask.to_request()), built)
    assert got.comparable() == expected


@pytest.mark.parametrize("wanted", hosts.RESERVED, ids=[case.name for case in hosts.RESERVED])
def test_every_edge_answers_for_itself_whatever_the_host(served: Served, wanted: Case):
    """Health is what the agent wrote, for any Host and no site's own file."""
    got = served.wire.ask(wanted.ask)
    assert (got.status, got.body) == (200, HEALTH)
    check_fields(wanted, got)


def test_the_table_has_several_hundred_cases_each_with_a_name_of_its_own():
    """No case hides another."""
    names = [(case.site.name, case.name) for case in CASES]
    assert len(names) > 400
    assert len(set(names)) == len(names)


def test_a_path_is_never_answered_with_another_files_bytes(served: Served):
    """Every entry's own URL, asked for with every coding, gives that entry's bytes."""
    for built in served.sites.values():
        if built.manifest.redirects or built.manifest.settings.alias_mode == "serve":
            continue
        for path, data in built.site.files.items():
            target = encode_path(url_path(built.manifest.settings, path))
            for coding in ("", "gzip", "br", "br, gzip"):
                got = served.wire.ask(Ask(target, built.site.hostnames[0], headers=(("Accept-Encoding", coding),)))
                assert got.status == 200
                assert decoded(got) == data
                assert re.fullmatch(r'"[0-9a-f]+-[0-9a-f]+"', got.values("etag")[0])

"""An operator tells a fleet its zones, looks at them, and checks what the name servers say."""

import asyncio
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.exception
import dns.message
import pytest

from cities import city, city_database
from fleet import EdgeProcess, Fleet, prepare_fleet, started
from program import Program, Ran
from publishing import write_site
from waiting import eventually

PORT = 5300
GERMAN, AMERICAN = "194.25.0.7", "8.8.8.8"
SETTINGS = """[dns]
zone = "fleet.test"
zones = ["example.test"]
zone_files = ["example.test.zone"]
"""


async def answered(fleet: Fleet, name: str) -> bool:
    """Whether every name server has addresses for a name."""
    asked = dns.message.make_query(name, "A")
    return all([(await dns.asyncquery.udp(asked, each.address, port=PORT, timeout=1)).answer for each in fleet])


@dataclass
class Operator:
    """Runs command lines against a fleet, each of which must end with its code."""

    program: Program
    fleet: Fleet

    async def run(self, *words: str | Path, code: int = 0) -> Ran:
        variables = {"EDGEWARD_STORE": self.fleet.url, "EDGEWARD_TOKEN_FILE": str(self.fleet.token_file)}
        ran = await asyncio.to_thread(self.program, *words, **variables)
        assert ran.code == code, f"{words}: {ran}"
        return ran

    async def found(self, *words: str | Path, code: int = 0) -> dict[str, Any]:
        return json.loads((await self.run("dns", *words, "--json", code=code)).out)


async def warns_of_what_does_not_count(operator: Operator, file: Path, records: Path) -> None:
    """Edges that are not there, and what signs a zone: the settings are taken all the same."""
    records.write_text("$TTL 60\nmail IN A 192.0.2.25\n@ IN DNSKEY 256 3 13 AAAA\n")
    file.write_text(SETTINGS + '[[dns.networks]]\nnetwork = "192.0.2.0/24"\nedges = ["sidney"]\n')
    odd = await operator.run("dns", "apply", file)
    assert "warning: the network 192.0.2.0/24: the fleet has no edge sidney" in odd.err
    assert "DNSKEY records are left out" in odd.err
    file.write_text(SETTINGS)


async def refuses_what_cannot_be_served(operator: Operator, file: Path, records: Path) -> None:
    """Names, files and records that cannot be, each with its exit code; nothing is stored."""
    records.write_text("$TTL 60\na\\.b IN A 192.0.2.1\n")
    wrong = await operator.found("apply", file, code=2)
    (problem,) = wrong["error"]["problems"]
    assert problem["file"] == str(records)
    assert "is no name of a record" in problem["message"]
    assert (await operator.found("apply", file.with_name("nothing.toml"), code=8))["error"]["kind"] == "DiskError"
    records.write_text("$TTL 60\nmail IN A 192.0.2.25\nwww IN A 192.0.2.1\n")
    assert "site www is steered there" in (await operator.run("dns", "apply", file, code=2)).err
    await operator.run("dns", "show", code=6)


async def explains_what_the_servers_answer(operator: Operator, address: str, folder: Path) -> None:
    """By country, as they go; by a city database that has German readers in Virginia it differs, and says so."""
    why = await operator.found("explain", "www.example.test", GERMAN)
    assert why["geography"] == "by country"
    assert why["served"] == [
        {"edge": name, "addresses": [address], "wrong": "", "differs": False, "note": "", "records": []}
        for name in ("fra", "iad")
    ]
    table = (await operator.run("dns", "explain", "www.example.test", GERMAN)).out
    assert "so the name servers answer: fra, iad" in table
    database = city_database(folder / "city.mmdb", {"194.25.0.0/24": city("Ashburn", "US", 39.0, -77.5)})
    other = ("explain", "www.example.test", GERMAN, "--city-database", database)
    assert [each["note"] for each in (await operator.found(*other, code=1))["served"]] == ["it goes by country"] * 2
    table = (await operator.run("dns", *other, code=1)).out
    assert f"fra answers {address}: it goes by country" in table
    assert "by the city database city.mmdb" in table


async def shows_what_there_is(operator: Operator) -> None:
    """Every record of each zone, and the name servers; for people by names relative to the zone."""
    shown = await operator.found("show")
    assert shown["servers"] == {"ns-fra.fleet.test": "fra", "ns-iad.fleet.test": "iad"}
    servers, start, *others = shown["zones"]["example.test"]
    assert [(each["name"], each["type"]) for each in (servers, start)] == [
        ("example.test", "NS"),
        ("example.test", "SOA"),
    ]
    assert servers["values"] == ["ns-fra.fleet.test.", "ns-iad.fleet.test."]
    assert others == [
        {"name": "www.example.test", "type": "A, AAAA", "ttl": 30, "values": [], "site": "www"},
        {"name": "mail.example.test", "type": "A", "ttl": 60, "values": ["192.0.2.25"], "site": None},
    ]
    assert shown["problems"] == []
    table = (await operator.run("dns", "show")).out
    for text in (
        "zone fleet.test",
        "zone example.test",
        "nearest edge of site www",
        "192.0.2.25",
        "ns-iad.fleet.test",
    ):
        assert text in table
    rows = [line.split() for line in table.splitlines()]
    assert ["@", "NS", "86400", "ns-fra.fleet.test.,", "ns-iad.fleet.test."] in rows
    assert ["fra", "up"] in rows


async def explains_every_kind_of_name(operator: Operator, fra: EdgeProcess, iad: EdgeProcess) -> None:
    """A steered name, one with fixed records, and what is none of either."""
    run, found = operator.run, operator.found
    why = await found("explain", "www.example.test", GERMAN)
    assert (why["site"], why["addresses"], why["ttl"]) == ("www", [fra.address], 30)
    assert [each["edge"] for each in why["ranked"]] == ["fra", "iad"]
    assert f"{AMERICAN}: {iad.address} " in (await run("dns", "explain", "www.example.test", AMERICAN)).out
    assert "no IP address" in (await run("dns", "explain", "www.example.test", "nowhere", code=2)).err
    assert (await found("explain", "x.example.test", GERMAN, code=6))["error"]["kind"] == "NotFoundError"

    mail = await found("explain", "mail.example.test", GERMAN)
    assert (mail["site"], mail["records"][0]["values"]) == (None, ["192.0.2.25"])
    assert "the same for everybody" in (await run("dns", "explain", "mail.example.test", GERMAN)).out
    out = (await run("dns", "explain", "www.elsewhere.test", GERMAN, code=6)).err
    assert "www.elsewhere.test is in none of the fleet's zones (fleet.test, example.test)" in out
    assert "no name of a record" in (await run("dns", "explain", "a..example.test", GERMAN, code=2)).err


@pytest.mark.timeout(300)
async def test_zones_are_applied_shown_explained_and_checked(edgeward, tmp_path, loopback_addresses) -> None:
    """Each command as a process, for people and with --json; exit codes tell bad input, unknown names and differences
    apart.
    """
    fleet = prepare_fleet(tmp_path / "fleet", loopback_addresses, edges=2)
    fra, iad = fleet
    for edge in fleet:
        edge.config.write_text(edge.config.read_text() + f"\n[dns]\nport = {PORT}\nworkers = 1\n")

    operator = Operator(edgeward, fleet)
    run, found = operator.run, operator.found
    site = {
        "edgeward.toml": '[site]\nname = "www"\nhostnames = ["www.example.test"]\n',
        "index.html": "<!doctype html>",
    }
    file, records = tmp_path / "dns.toml", tmp_path / "example.test.zone"
    async with started(fleet):
        await run("push", write_site(tmp_path / "site", site))
        assert "edgeward dns apply" in (await run("dns", "show", code=6)).err

        file.write_text(SETTINGS)
        await refuses_what_cannot_be_served(operator, file, records)
        records.write_text("$TTL 60\nmail IN A 192.0.2.25\n")
        await warns_of_what_does_not_count(operator, file, records)
        assert "example.test: 3 names" in (await run("dns", "apply", file)).out
        assert (await found("apply", file))["zones"]["example.test"] == 3
        await eventually(
            lambda: answered(fleet, "mail.example.test"), within=20, ignoring=(OSError, dns.exception.Timeout)
        )

        await shows_what_there_is(operator)

        await explains_every_kind_of_name(operator, fra, iad)

        # A server answers for the site's hostname once its steering table is built.
        await eventually(lambda: answered(fleet, "www.example.test"), within=60, ignoring=(dns.exception.Timeout,))
        await explains_what_the_servers_answer(operator, fra.address, tmp_path)
        well = await found("check")
        assert (well["servers"], well["problems"], well["notes"]) == (["fra", "iad"], [], [])
        assert "every answer is right, and all agree" in (await run("dns", "check")).out
        short = await found("check", "--delegation", "--resolver", "127.0.0.1", "--within", "0s", code=1)
        names, parents = short["problems"]
        assert re.fullmatch(r"0 s were not enough: [0-9]+ questions were not asked, or not answered: .*", names)
        assert parents == "0 s were not enough to look at all delegations: nothing is known of them"
        await iad.stop()
        served = (await found("explain", "www.example.test", GERMAN))["served"]
        assert [bool(each["wrong"]) for each in served] == [False, True]
        assert "iad could not be asked: " in (await run("dns", "explain", "www.example.test", GERMAN)).out
        late = await found("check", code=1)
        assert late["problems"]
        assert all(problem.startswith("iad (") for problem in late["problems"])
        assert f"{len(late['problems'])} problems" in (await run("dns", "check", code=1)).out

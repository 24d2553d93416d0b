"""Records as `dns.toml` and zone files have them: what is read of them, what is refused, what is answered."""

from pathlib import Path

import dns.rrset
import pytest

from dns_sockets import SOCKETS
from dns_world import ask, query, respond, texts
from edgeward.core.dns_settings import DnsSettings, Record
from edgeward.errors import InputError
from edgeward.publish.zone_files import read_dns_settings


def applied(tmp_path: Path, more: str = "", **files: str) -> tuple[DnsSettings, tuple[str, ...]]:
    """The settings of a `dns.toml` with the zones fleet.test and example.test, and of zone files of the latter."""
    names = []
    for name, content in files.items():
        names.append(f"example.test.{name}.zone")
        (tmp_path / names[-1]).write_text(content)
    head = '[dns]\nzone = "fleet.test"\nzones = ["example.test"]\n' + (f"zone_files = {names}\n" if names else "")
    return read_dns_settings(head + more, file=tmp_path / "dns.toml")


def row(name: str, kind: str, value: str, ttl: int = 300) -> str:
    return f"[[dns.records]]\nname = '{name}'\ntype = '{kind}'\nvalue = '{value}'\nttl = {ttl}\n"


def test_values_of_records_are_those_of_zone_files(tmp_path: Path, table) -> None:
    """Names without a final dot are of the record's zone, `@` is the zone."""
    settings, _ = applied(
        tmp_path,
        row("example.test", "MX", "10 mail")
        + row("a.example.test", "CNAME", "@")
        + row("_s._tcp.fleet.test", "SRV", "1 2 53 ns-fra")
        + row("b.example.test", "CNAME", "far.elsewhere.test."),
    )
    responder = respond(settings, table)
    for name, kind, expected in (
        ("example.test", "MX", "10 mail.example.test."),
        ("a.example.test", "CNAME", "example.test."),
        ("_s._tcp.fleet.test", "SRV", "1 2 53 ns-fra.fleet.test."),
        ("b.example.test", "CNAME", "far.elsewhere.test."),
    ):
        assert texts(ask(responder, query(name, kind))) == [expected]


DIGEST = "0123456789ABCDEF" * 4


@pytest.mark.parametrize("source", ["dns.toml", "zone file"])
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("A", "192.0.2.25"),
        ("AAAA", "2001:db8::25"),
        ("CNAME", "far.elsewhere.test."),
        ("MX", "10 mail.elsewhere.test."),
        ("TXT", '"v=spf1 -all" "two; strings"'),
        ("CAA", '0 issue "ca.example"'),
        ("SRV", "1 2 5060 sip.elsewhere.test."),
        ("NS", "ns.elsewhere.test."),
        ("TLSA", f"3 1 1 {DIGEST}"),
        ("SSHFP", f"4 2 {DIGEST}"),
    ],
)
async def test_each_type_is_answered_as_it_was_written(
    tmp_path: Path, table, run_tool, source: str, kind: str, value: str
) -> None:
    """With its name and TTL too, read by dnspython over UDP and TCP and by dig; NS as the referral that it is for."""
    name = "_25._tcp.example.test"
    if source == "dns.toml":
        settings, _ = applied(tmp_path, row(name, kind, value, 77))
    else:
        settings, _ = applied(tmp_path, z=f"_25._tcp 77 IN {kind} {value}\n")
    responder = respond(settings, table)
    answer = ask(responder, query(name, kind))
    sections = ([], answer.authority) if kind == "NS" else (answer.answer, [])
    assert (answer.answer, answer.authority) == sections
    (rrset,) = answer.answer or answer.authority
    assert rrset == dns.rrset.from_text(f"{name}.", 77, "IN", kind, value)
    assert rrset.ttl == 77
    address, port = SOCKETS.udp_address(responder)
    dig = ("dig", f"@{address}", "-p", str(port), "+norecurse", "+nosplit", name, kind)
    short = await run_tool(*dig, "+short")
    assert short.rstrip("\n") == ("" if kind == "NS" else value)
    whole = await run_tool(*dig, "+noall", "+answer", "+authority")
    assert whole.split(None, 4) == [f"{name}.", "77", "IN", kind, f"{value}\n"]


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("DNAME", "elsewhere.test.", "DNAME (RFC 6672) is not answered here"),
        ("TYPE39", "elsewhere.test.", "DNAME (RFC 6672) is not answered here"),
        ("NS", "192.0.2.1", "its data is a name, and 192.0.2.1 is an address"),
        ("MX", "10 192.0.2.1", "192.0.2.1 is an address"),
        ("CNAME", "192.0.2.1.", "192.0.2.1 is an address"),
        ("PTR", "2001:db8::1", "2001:db8::1 is an address"),
        ("SRV", "0 0 80 192.0.2.1", "192.0.2.1 is an address"),
    ],
)
def test_records_that_are_not_answered_as_they_look_are_refused(tmp_path: Path, kind, value, said) -> None:
    """In `dns.toml` and in a zone file alike, all in one report."""
    with pytest.raises(InputError) as caught:
        applied(tmp_path, row("x.example.test", kind, value), z=f"$TTL 60\ny {kind} {value}\n")
    found = {Path(problem.file).name: problem.message for problem in caught.value.problems}
    assert found.keys() == {"dns.toml", "example.test.z.zone"}
    assert found["dns.toml"].startswith(f"records: x.example.test {kind} {value}: ")
    assert found["example.test.z.zone"].startswith("y.example.test ")
    assert all(said in message for message in found.values())


def test_a_type_of_questions_is_no_record(tmp_path: Path) -> None:
    """Nobody could ever be answered with it."""
    with pytest.raises(InputError) as caught:
        applied(tmp_path, row("x.example.test", "ANY", "\\# 0"))
    assert "it is a type of questions" in caught.value.problems[0].message


def test_a_wildcard_cannot_be_delegated(tmp_path: Path) -> None:
    """It would be answered as a name that is there and has no data (RFC 4592 section 4.2)."""
    with pytest.raises(InputError) as caught:
        applied(tmp_path, row("*.example.test", "NS", "ns.elsewhere.test."), z="$TTL 60\n*.w NS ns.elsewhere.test.\n")
    assert [problem.message.count("a wildcard cannot be delegated") for problem in caught.value.problems] == [1, 1]


def test_what_signs_a_zone_is_left_out_with_a_word(tmp_path: Path) -> None:
    """A file as a provider exports it is taken over without; as a record of its own it is refused."""
    signed = "$TTL 60\n@ DNSKEY 256 3 13 AAAA\nmail NSEC www A\nmail A 192.0.2.25\n"
    settings, left_out = applied(tmp_path, z=signed)
    assert settings.records == (Record("mail.example.test", "A", "192.0.2.25", 60),)
    assert left_out == (
        f"{tmp_path / 'example.test.z.zone'}: DNSKEY, NSEC records are left out: these zones are not signed",
    )
    with pytest.raises(InputError) as caught:
        applied(tmp_path, row("mail.example.test", "NSEC", "www.example.test. A"))
    assert "these zones are not signed" in caught.value.problems[0].message


def test_what_is_outside_of_its_zone_is_told(tmp_path: Path) -> None:
    """A final dot too many takes a line out of the zone of its file."""
    with pytest.raises(InputError) as caught:
        applied(tmp_path, z="$TTL 60\nfoo A 192.0.2.1\nbar.other.test. A 192.0.2.2\nexample.test.uk. A 192.0.2.2\n")
    assert [problem.message.partition(" is not in the zone example.test")[0] for problem in caught.value.problems] == [
        "bar.other.test A",
        "example.test.uk A",
    ]


def test_records_of_one_name_and_type_have_one_ttl(tmp_path: Path) -> None:
    """RFC 2181 section 5.2; also where one is in a zone file and the other is not."""
    with pytest.raises(InputError) as caught:
        applied(tmp_path, row("a.example.test", "A", "192.0.2.1", 60), z="$TTL 300\na A 192.0.2.2\n")
    (problem,) = caught.value.problems
    assert problem.message == "the records a.example.test A have the TTLs 60, 300; give all the same"


def strings(size: int, first: int, last: int) -> list[str]:
    """TXT records, each of one string of so many bytes, no two alike."""
    return [f'"{number:0{size}}"' for number in range(first, last)]


def servers(first: int, last: int) -> list[str]:
    return [f"ns{number:04}.elsewhere.test." for number in range(first, last)]


@pytest.mark.parametrize("source", ["dns.toml", "zone file", "both"])
@pytest.mark.parametrize(
    ("kind", "fits", "larger", "said"),
    [
        # 12 bytes, one of the string's length, 187 of the string: 200 for each.
        ("TXT", strings(187, 0, 300), strings(187, 300, 301), "the 301 records big.example.test TXT have 60,200 bytes"),
        # A name of 18 bytes, 10, and data of 23: 51 for each.
        ("NS", servers(0, 1176), servers(1176, 1177), "the 1,177 records big.example.test NS have 60,027 bytes"),
    ],
    ids=["TXT", "NS"],
)
def test_records_that_no_answer_has_room_for_are_refused(
    tmp_path: Path, table, source: str, kind: str, fits: list[str], larger: list[str], said: str
) -> None:
    """As many as there is room for are answered over TCP, whole; one more, wherever it is written, is a problem with
    name, size and limit. A record that is written twice counts once, as it is answered.
    """

    def read(values: list[str]) -> DnsSettings:
        cut = {"dns.toml": len(values), "zone file": 0, "both": len(values) // 2}[source]
        rows = "".join(row("big.example.test", kind, value) for value in values[:cut])
        zone = "$TTL 300\n" + "".join(f"big {kind} {value}\n" for value in values[cut:])
        return applied(tmp_path, rows, z=zone)[0]

    responder = respond(read([*fits, fits[0]]), table)
    asked = "big.example.test" if kind == "TXT" else "a.big.example.test"
    answer = ask(responder, query(asked, kind), tcp=True)
    (rrset,) = answer.answer or answer.authority
    assert sorted(map(str, rrset)) == sorted(fits)
    with pytest.raises(InputError) as caught:
        read(fits + larger)
    (problem,) = caught.value.problems
    assert problem.message == (
        f"{said} in an answer, which has room for 60,000 of one name and type; give fewer or shorter ones"
    )

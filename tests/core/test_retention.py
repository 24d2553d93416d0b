"""What is kept and what may go, and why."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeward.core.digest import digest_of
from edgeward.core.fleet import ReleaseRecord
from edgeward.core.retention import DAY, Policy, SiteInUse, retain, unneeded_blobs

NOW = 1_000 * DAY


def name(number):
    """The digest of release `number`."""
    return digest_of(f"release {number}".encode())


def record(number, age_days, site="blog"):
    """The record of release `number`, pushed so many days ago."""
    packed = digest_of(f"manifest {number}".encode())
    return ReleaseRecord(site, name(number), packed, 1, int(NOW - age_days * DAY), "", "", 1, 1)


def kept(records, use=None, **settings):
    """What is kept: release number by reason."""
    result = retain(records, use or SiteInUse(None), now=NOW, **settings)
    numbers = {name(number): number for number in range(100)}
    return {numbers[item.record.release]: item.because for item in result.kept}


def test_the_last_ten():
    """The last 10 releases stay, however old."""
    found = kept([record(number, 100 + number) for number in range(15)])
    assert found == dict.fromkeys(range(10), "it is one of the last 10 releases")


def test_the_last_thirty_days():
    """All releases of the last 30 days stay, however many."""
    found = kept([record(number, number / 2) for number in range(80)])
    assert set(found) == set(range(60))
    assert found[59] == "it is younger than 30 days"
    assert found[0] == "it is one of the last 10 releases"


@pytest.mark.parametrize(
    ("use", "because"),
    [
        (SiteInUse(name(20)), "it is live"),
        (SiteInUse(name(1), previous=name(20)), "it was live before, so a rollback leads to it"),
        (SiteInUse(name(1), candidates={name(20)}), "a push is about to make it live"),
        (
            SiteInUse(name(1), left={name(20): NOW - 7 * DAY + 1}),
            "it was live less than 7 days ago, so its immutable assets are still reachable",
        ),
        (
            SiteInUse(name(1), left={name(20): NOW - 100 * DAY}, keep_assets_days=200),
            "it was live less than 200 days ago, so its immutable assets are still reachable",
        ),
        (SiteInUse(name(1), left={name(20): NOW - 7 * DAY}), None),
        (SiteInUse(name(1)), None),
    ],
)
def test_what_is_in_use_stays(use, because):
    """A live release, the one before, a candidate, and one whose assets are promised stay however old they are."""
    assert kept([record(number, 400 + number) for number in range(30)], use).get(20) == because


def test_policy():
    """Both limits can be set."""
    records = [record(number, number) for number in range(20)]
    assert set(kept(records, policy=Policy(last=2, days=0))) == {0, 1}
    assert set(kept(records, policy=Policy(last=0, days=5))) == {0, 1, 2, 3, 4}


def test_a_clock_that_was_set_back():
    """A release from the future is young."""
    assert 3 in kept([replace(record(3, -5))], policy=Policy(last=0))


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 200)), unique_by=lambda item: item[0]), st.integers(0, 40))
def test_every_release_is_judged_once(found, live):
    """Each release is either kept, with a reason, or gone, newest first; the live one is never gone."""
    records = [record(number, age) for number, age in found]
    result = retain(records, SiteInUse(name(live)), now=NOW)
    assert sorted([item.record for item in result.kept] + list(result.gone), key=repr) == sorted(records, key=repr)
    assert all(item.because for item in result.kept)
    assert name(live) not in {item.release for item in result.gone}
    assert [item.created for item in result.gone] == sorted((item.created for item in result.gone), reverse=True)


def test_blobs():
    """Blobs that nothing needs go once the grace period is over; what is needed stays, however old."""
    needed, old, young = digest_of(b"needed"), digest_of(b"old"), digest_of(b"young")
    found = unneeded_blobs({needed: 0, old: NOW - 3_600, young: NOW - 3_599}, {needed}, now=NOW)
    assert found.delete == (old,)
    assert found.because == "no release that is kept needs them, and they are older than the grace period of 3600 s"


def test_blobs_come_in_order():
    """What may go is sorted, so that equal stores are swept alike."""
    stored = {digest_of(bytes([number])): 0 for number in range(20)}
    assert unneeded_blobs(stored, (), now=NOW).delete == tuple(sorted(stored))
    assert unneeded_blobs(stored, (), now=NOW, policy=Policy(grace=NOW + 1)).delete == ()

"""The deployer's key: made once, private, and checked."""

import os
import stat
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from edgeward.core.deployers import Deployer, Deployers
from edgeward.core.digest import digest_of
from edgeward.core.fleet import ReleaseRecord
from edgeward.errors import DiskError, InputError
from edgeward.publish.deployer import KEY_FILE, deployer_name, load_signer, signature_holds
from edgeward.publish.fleet_settings import DEPLOYERS
from edgeward.publish.git import commit_subject
from edgeward.publish.places import Places, write_whole
from edgeward.publish.push import push
from publishing import options

RELEASE = digest_of(b"release")


def record(**changes: object) -> ReleaseRecord:
    plain = ReleaseRecord("blog", RELEASE, digest_of(b"m"), 1, 1, "", "ann", 1, 1)
    return replace(plain, **changes)


def test_a_key_is_made_once_and_is_private(places: Places) -> None:
    """0600 in a folder 0700, the same key every time."""
    first, second = load_signer(places), load_signer(places)
    assert first.key == second.key
    path = places.settings / KEY_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_two_first_pushes_at_once_make_one_key(places: Places) -> None:
    """Whoever is second takes the first one's."""
    keys: list[str] = []
    threads = [threading.Thread(target=lambda: keys.append(load_signer(places).key)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(keys)) == 1
    assert [file.name for file in places.settings.iterdir()] == [KEY_FILE]


def test_signatures_hold_for_their_site_and_release_alone(places: Places) -> None:
    """Another site, release, key or an empty one: no."""
    signer = load_signer(places)
    signed = record(key=signer.key, signature=signer.sign("blog", RELEASE))
    assert signature_holds(signed)
    assert not signature_holds(replace(signed, site="shop"))
    assert not signature_holds(replace(signed, release=digest_of(b"other")))
    assert not signature_holds(replace(signed, key="ab" * 32))
    assert not signature_holds(replace(signed, signature="zz"))
    assert not signature_holds(record())


def test_a_key_that_others_can_read_is_refused(places: Places) -> None:
    """As ssh does, with the command that mends it."""
    load_signer(places)
    path = places.settings / KEY_FILE
    path.chmod(0o640)
    with pytest.raises(InputError, match="can be read by others") as caught:
        load_signer(places)
    assert caught.value.hint == f"chmod 600 {path}"


@pytest.mark.parametrize("data", [b"", b"not a key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_damaged_key_is_never_replaced_in_silence(places: Places, data: bytes) -> None:
    """It may be on a fleet's list: the user decides."""
    write_whole(places.settings / KEY_FILE, data)
    with pytest.raises(InputError, match="no private key in PEM form"):
        load_signer(places)
    assert (places.settings / KEY_FILE).read_bytes() == data


def test_a_settings_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    """It names the file."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(DiskError, match=r"deployer\.key cannot be used"):
        load_signer(Places(tmp_path / "c", tmp_path / "file"))


async def test_without_a_place_for_the_key_a_push_is_unsigned_where_that_is_allowed(
    store, edge, folder, tmp_path
) -> None:
    """A CI machine with a read-only home can push to a fleet that has no list, and not to one that has."""
    await edge()
    (tmp_path / "file").write_text("x")
    nowhere = Places(tmp_path / "cache", tmp_path / "file")
    result = await push(options(folder), store, places=nowhere)
    stored = await store.releases.get(f"blog.{result.release}")
    assert ReleaseRecord.from_bytes(stored.value).signature == ""
    await store.fleet.put(DEPLOYERS, Deployers(()).to_bytes())
    with pytest.raises(DiskError):
        await push(options(folder), store, places=nowhere)


async def test_the_fleets_list_decides(store, edge, folder, places) -> None:
    """A key on the list for this site may push, for another it may not."""
    await edge()
    key = load_signer(places).key
    await store.fleet.put(DEPLOYERS, Deployers((Deployer("ann", key, ("blog",)),)).to_bytes())
    assert (await push(options(folder), store, places=places)).outcome == "released"
    with pytest.raises(InputError) as caught:
        await push(options(folder, site="shop", hostnames=("shop.test",)), store, places=places)
    assert caught.value.message == "this machine's key may not push site shop: deployer ann may push only blog"
    assert key in (caught.value.hint or "")


def test_places_follow_the_xdg_variables() -> None:
    """Absolute ones count, relative ones are ignored, the defaults are below the home folder."""
    home = {"HOME": "/home/ann"}
    assert Places.of_user(home) == Places(Path("/home/ann/.cache/edgeward"), Path("/home/ann/.config/edgeward"))
    found = Places.of_user({**home, "XDG_CACHE_HOME": "/c", "XDG_CONFIG_HOME": "relative"})
    assert found == Places(Path("/c/edgeward"), Path("/home/ann/.config/edgeward"))


def test_the_name_of_a_deployer_is_user_and_host() -> None:
    """For people to read."""
    assert "@" in deployer_name()
    assert os.uname().nodename in deployer_name()


def test_no_repository_means_no_message(tmp_path: Path) -> None:
    """And a folder that is not there is no error either."""
    assert commit_subject(tmp_path / "nowhere") == ""

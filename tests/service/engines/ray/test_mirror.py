"""Copies of shares: what comes, what goes back, and what is kept."""

import hashlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchai_recipes.service.engines.ray.content_cache import ContentCache, ContentError
from batchai_recipes.service.engines.ray.fetching import Fetching
from batchai_recipes.service.engines.ray.mirror import Mirror
from batchai_recipes.service.engines.ray.service_shares import ServiceShares
from batchai_recipes.service.engines.ray.share_copies import MadeFolder, Piece, ShareSource


class FromFolder(Fetching):
    """Takes files from the folder, as the file endpoint does."""

    fetched = 0

    def fetch(self, source, path, size, place):
        """Copy it."""
        self.fetched += 1
        place.write_bytes((self.folder / path).read_bytes()[:size])


class Sides:
    """A share at the service and its copy on a node."""

    def __init__(self, folder):
        self.share = folder / "shares" / "account" / "share"
        self.share.mkdir(parents=True)
        self.copy = folder / "copy"
        self.shares = ServiceShares(folder / "shares")
        self.fetching = FromFolder()
        self.fetching.folder = self.share
        self.cache = ContentCache(folder / "contents", 1 << 20)
        self.mirror = Mirror(self.copy, str(self.share), self.cache, self.fetching)

    def copy_in(self):
        """Before a task."""
        source = ShareSource(str(self.share), "http://service/account/share", "sig=")
        self.mirror.bring_up_to_date(source, self.shares.state(str(self.share)))

    def send_back(self, *, final=True):
        """While it runs, or at its end; return what was sent."""
        changes = list(self.mirror.changes(final=final))
        for change in changes:
            self.shares.take_in(change)
        return changes


@pytest.fixture
def sides(tmp_path):
    """A share at the service and its copy on a node."""
    return Sides(tmp_path)


def below(folder):
    """All files with their content, and all folders."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def test_what_is_on_the_share_is_copied_in(sides):
    """Folders, too, and nothing of it goes back."""
    (sides.share / "deep" / "er").mkdir(parents=True)
    (sides.share / "deep" / "file").write_bytes(b"1" * 100)
    sides.copy_in()
    assert below(sides.copy) == below(sides.share)
    assert sides.send_back() == []


def test_only_what_changed_comes_again_and_what_was_seen_is_at_hand(sides):
    """By its content, whatever its name is."""
    (sides.share / "a").write_bytes(b"one")
    (sides.share / "b").write_bytes(b"two")
    sides.copy_in()
    assert sides.fetching.fetched == 2
    (sides.share / "b").rename(sides.share / "c")
    (sides.share / "a").write_bytes(b"three")
    sides.copy_in()
    assert below(sides.copy) == {"a": b"three", "c": b"two"}
    assert sides.fetching.fetched == 3


def test_of_a_growing_file_only_what_is_new_is_sent(sides):
    """And at the end nothing more, when it only grew."""
    with (sides.copy / "log").open("ab", buffering=0) as log:
        for number in range(3):
            log.write(b"%d\n" % number)
            assert [piece.data for piece in sides.send_back(final=False)] == [b"%d\n" % number]
    assert sides.send_back() == []
    assert (sides.share / "log").read_bytes() == b"0\n1\n2\n"


def test_a_file_that_was_rewritten_is_right_at_the_end(sides):
    """Also where it looked as if it had only grown."""
    (sides.copy / "model").write_bytes(b"aaaa")
    sides.send_back(final=False)
    with (sides.copy / "model").open("r+b") as file:
        file.write(b"bbbbbb")
    sides.send_back(final=False)
    sides.send_back()
    assert (sides.share / "model").read_bytes() == b"bbbbbb"


def test_what_the_node_wrote_is_not_fetched(sides):
    """It is known by its content."""
    (sides.copy / "out").write_bytes(b"mine")
    sides.send_back()
    sides.copy_in()
    assert sides.fetching.fetched == 0
    assert (sides.copy / "out").read_bytes() == b"mine"


def test_what_was_changed_meanwhile_at_the_service_is_not_removed(sides):
    """A file that the node removed, and somebody else wrote anew."""
    for name in ("kept", "gone"):
        (sides.share / name).write_bytes(b"old")
    sides.copy_in()
    for name in ("kept", "gone"):
        (sides.copy / name).unlink()
    (sides.share / "kept").write_bytes(b"newer")
    sides.send_back()
    assert below(sides.share) == {"kept": b"newer"}


def test_nothing_is_written_outside_of_the_share(sides, tmp_path):
    """Whatever a node says."""
    (sides.share / "link").symlink_to(tmp_path)
    for path in ("../x", "/tmp/x", "link/x", "a/../../x"):
        sides.shares.take_in(Piece(str(sides.share), path, 0, b"x"))
        sides.shares.take_in(MadeFolder(str(sides.share), path))
    sides.shares.take_in(Piece(str(tmp_path), "x", 0, b"x"))
    assert not (tmp_path / "x").exists()
    assert not (tmp_path / "shares" / "account" / "x").exists()


def test_content_that_is_not_what_it_was_said_to_be(tmp_path):
    """Is not kept."""
    cache = ContentCache(tmp_path / "contents", 100)
    digest = hashlib.sha256(b"right").hexdigest()
    with pytest.raises(ContentError):
        cache.copy(digest, tmp_path / "copy", lambda path: path.write_bytes(b"wrong"))
    assert [path.name for path in tmp_path.rglob("*")] == ["contents"]


def test_the_cache_is_bounded(tmp_path):
    """What was used least recently goes."""
    cache = ContentCache(tmp_path / "contents", 10)
    for number in range(5):
        data = b"%d" % number * 4
        cache.copy(
            hashlib.sha256(data).hexdigest(),
            tmp_path / "x",
            lambda path, d=data: path.write_bytes(d),
        )
    assert sum(path.stat().st_size for path in (tmp_path / "contents").iterdir()) <= 10


NAMES = st.sampled_from(["a", "b", "d/c"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), NAMES, st.binary(max_size=6)),
        st.tuples(st.just("append"), NAMES, st.binary(max_size=6)),
        st.tuples(st.just("patch"), NAMES, st.binary(max_size=3)),
        st.tuples(st.just("replace"), NAMES, st.binary(max_size=6)),
        st.tuples(st.just("remove"), NAMES, st.just(b"")),
        st.tuples(st.just("send"), NAMES, st.just(b"")),
        st.tuples(st.just("refresh"), NAMES, st.just(b"")),
        st.tuples(st.just("restart"), NAMES, st.just(b"")),
    ),
    max_size=12,
)


@given(steps=STEPS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_at_the_end_the_share_is_what_the_node_has(tmp_path_factory, steps):
    """However files were written, and whenever they were sent."""
    sides = Sides(tmp_path_factory.mktemp("sides"))
    (sides.share / "a").write_bytes(b"from the service")
    sides.copy_in()
    for what, name, data in steps:
        place = sides.copy / name
        place.parent.mkdir(exist_ok=True)
        if what in {"write", "append"}:
            with place.open("wb" if what == "write" else "ab") as file:
                file.write(data)
        elif what == "patch" and place.exists():
            with place.open("r+b") as file:
                file.write(data)
        elif what == "replace":
            new = place.with_name("new")
            new.write_bytes(data)
            new.replace(place)
        elif what == "remove":
            place.unlink(missing_ok=True)
        elif what == "send":
            sides.send_back(final=False)
        elif what == "refresh":
            sides.send_back()
            sides.copy_in()
        elif what == "restart":
            sides.mirror.begin_anew()
    sides.send_back()
    here, there = (
        {p: c for p, c in below(f).items() if c is not None} for f in (sides.copy, sides.share)
    )
    assert here == there

"""Sessions that are handed over and taken up again, on the level of HTTP."""

import json

import pytest
from attrs import define, field

from batchai_recipes import ClusterBuilder, ConfigurationError, RequestError, TrainingSession

DATE = "Tue, 24 Nov 2026 12:00:00 GMT"
TAGS = {
    "batchai-recipes-session": "s",
    "batchai-recipes-lease": "2026-11-24T20:00:00+00:00",
    "batchai-recipes-owner": "other/1",
    "batchai-recipes-detached": "yes",
    "batchai-recipes-experiment": "e",
    "batchai-recipes-limits": "c idle_timeout=60.0 max_lifetime=100.0",
    "batchai-recipes-limits-2": "gone idle_timeout=5.0",
    "mine": "stays",
}
PLACE = {"id": "/subscriptions/1/resourceGroups/g/providers/P/workspaces/w", "name": "w"}
BUSY = (409, {"error": {"code": "Busy", "message": "it is busy"}})


@define
class Tagged:
    """A workspace whose tags are changed only as they were read, where the request says so."""

    tags: dict
    state: int = 1
    before_patch: list = field(factory=list)

    def change(self, **tags):
        """Change some, as another session does."""
        self.tags = {**self.tags, **tags}
        self.state += 1

    def answer(self, request):
        """Answer a request."""
        headers = {"Content-Type": "application/json", "Date": DATE}
        if request.method == "PATCH":
            if self.before_patch:
                self.before_patch.pop(0)()
            if request.headers.get("If-Match", f'"{self.state}"') != f'"{self.state}"':
                return (412, headers, '{"error": {"code": "Changed", "message": "it changed"}}')
            self.tags, self.state = json.loads(request.body)["tags"], self.state + 1
        document = {**PLACE, "tags": self.tags}
        if not request.path_url.split("?")[0].endswith("/w"):
            document = {"value": [document]}
        return (200, {**headers, "ETag": f'"{self.state}"'}, json.dumps(document))


@pytest.fixture
def detached(batchai, ready):
    """A session of another machine with one of its two clusters left, which is 70 s old."""

    def be(**tags):
        known = {**TAGS, **{f"batchai-recipes-{name}": text for name, text in tags.items()}}
        workspace = Tagged(known)
        for method, path in (("GET", ""), ("GET", "/w"), ("PATCH", "/w")):
            batchai.raw(method, f"/workspaces{path}", workspace.answer)
        ready["properties"]["creationTime"] = "2026-11-24T11:58:50Z"
        batchai.on("GET", "/clusters", {"value": [{"name": "c", **ready}]})
        batchai.on("GET", "/clusters/c", ready)
        batchai.on("GET", "/experiments", {"value": [{"name": "e"}]})
        batchai.on("GET", "/experiments/e/jobs", {"value": []})
        return workspace

    be()
    return be


@pytest.fixture
def attach(connection, clock):
    """Take it up."""
    return lambda **options: TrainingSession.attach(
        "s", connection=connection, pacing=clock.pacing(), **options
    )


def tags_sent(batchai):
    """Return what the workspace was tagged with, each time."""
    return [
        json.loads(request.body)["tags"]
        for request in batchai.requests
        if request.method == "PATCH" and "/workspaces/w" in request.url
    ]


@pytest.mark.parametrize("session", ["", "\N{CHECK MARK}", "../s", "a.b", "a b"])
def test_what_cannot_be_an_id_is_refused_as_one(session, connection, batchai):
    """Nothing is asked, and the error says where an id is told."""
    with pytest.raises(ConfigurationError, match="is not the id of a session: it is what"):
        TrainingSession.attach(session, connection=connection)
    assert batchai.calls == []


def test_its_clusters_keep_their_limits(detached, attach, batchai, clock):
    """The idle time begins anew; the life was counted all the time."""
    with attach() as session:
        session._live._watcher.look()
        clock.sleep(29)
        session._live._watcher.look()
        assert batchai.made("DELETE") == []
        clock.sleep(1)
        session._live._watcher.look()
        assert batchai.made("DELETE") == ["c"]


def test_its_limits_and_deadline_are_handed_over_again(detached, attach, batchai):
    """As they were; the deadline is what it had on whatever machine."""
    with attach() as session:
        assert tags_sent(batchai)[0].keys() == TAGS.keys() - {"batchai-recipes-detached"}
        session.detach(session.deadline)

    last = tags_sent(batchai)[-1]
    assert last.pop("batchai-recipes-owner") != TAGS["batchai-recipes-owner"]
    for start in ("", "batchai_recipes_cluster.c."):
        entry = last.pop(f"{start}batchai_recipes_user_s")
        assert entry == f"s {TAGS['batchai-recipes-lease']}"
    assert last == {name: text for name, text in TAGS.items() if "owner" not in name}


def test_a_session_that_was_kept_has_no_deadline(detached, attach):
    """It was left on purpose, for good."""
    detached(lease="kept")
    with attach() as session:
        assert session.deadline is None


def test_a_cluster_that_is_gone_is_told_of(detached, attach):
    """The other one is the only one."""
    said = []
    with attach(report=said.append) as session:
        assert session.cluster_state().idle == 1
        with pytest.raises(ConfigurationError, match="has no cluster 'gone'"):
            session.cluster_state("gone")

    (warning,) = [line for line in said if line.startswith("Warning: ")]
    assert "Cluster gone is gone: it has reached a limit (idle_timeout 5 s), or" in warning


def test_what_could_not_be_handed_back_is_a_warning(detached, attach, batchai, tmp_path):
    """It says until when there is time; so does the run folder."""
    said = []
    batchai.on("GET", "/clusters/c", BUSY)
    batchai.on("PATCH", "/workspaces/w", {}, {}, BUSY)
    session = attach(report=said.append)
    with pytest.raises(RequestError, match="cluster c"):
        session.__enter__()

    warning = next(line for line in said if line.startswith("Warning: "))
    assert "Session s could not be handed back to the service, which takes it for dead" in warning
    assert "in 15 minutes" in warning
    assert "Take it up again before that" in warning
    events = (session.run_folder / "events.jsonl").read_text()
    assert '"level": "warning"' in events


@pytest.mark.parametrize("where", ["/clusters", "/clusters/c"])
@pytest.mark.parametrize("lease", ["2026-11-24T20:00:00+00:00", "kept"])
def test_one_that_cannot_be_taken_up_is_left_as_it_was(detached, attach, batchai, where, lease):
    """Else `reap` would take it for dead a quarter of an hour later."""
    detached(lease=lease)
    batchai.on("GET", where, BUSY)
    with pytest.raises(RequestError, match="it is busy"):
        attach().__enter__()

    taken, *_, last = tags_sent(batchai)
    assert "batchai-recipes-detached" not in taken
    assert last["batchai-recipes-detached"] == "yes"
    assert last["batchai-recipes-lease"] == lease


def test_what_another_session_notes_meanwhile_stays(detached, attach, batchai):
    """It is given back on the condition that nothing has changed since it was read."""
    workspace = detached()
    note = {"batchai_recipes_user_other": "other 2026-11-24T13:00:00+00:00"}
    # The first change takes the session, the second gives it back.
    workspace.before_patch += [lambda: None, lambda: workspace.change(**note)]
    batchai.on("GET", "/clusters", BUSY)
    with pytest.raises(RequestError, match="it is busy"):
        attach().__enter__()

    assert workspace.tags == {**TAGS, **note}


@pytest.mark.parametrize(
    "lease",
    [{"batchai-recipes-owner": "third/1"}, {"batchai-recipes-session": "t"}],
    ids=["taken up", "another session's"],
)
def test_a_lease_that_is_anothers_by_then_is_not_given_back(detached, attach, batchai, lease):
    """Who has taken it up meanwhile keeps it."""
    workspace = detached()
    workspace.before_patch += [lambda: None, lambda: workspace.change(**lease)]
    batchai.on("GET", "/clusters", BUSY)
    with pytest.raises(RequestError, match="it is busy"):
        attach().__enter__()

    assert lease.items() <= workspace.tags.items()
    assert "batchai-recipes-detached" not in workspace.tags


def test_a_workspace_that_is_gone_by_then_has_nothing_to_give_back(detached, attach, batchai):
    """Nothing is said of it but why the session could not be taken up."""
    said = []
    batchai.raw("GET", "/workspaces/w", detached().answer, (404, {}, ""))
    batchai.on("GET", "/clusters", BUSY)
    with pytest.raises(RequestError, match="it is busy"):
        attach(report=said.append).__enter__()

    assert [line for line in said if "Warning" in line] == []


def test_tags_that_others_change_all_the_time_are_a_warning(detached, attach, batchai):
    """It says until when there is time."""
    workspace, said = detached(), []
    workspace.before_patch += [lambda: None, *[workspace.change] * 99]
    batchai.on("GET", "/clusters", BUSY)
    with pytest.raises(RequestError, match="it is busy"):
        attach(report=said.append).__enter__()

    (warning,) = [line for line in said if line.startswith("Warning: ")]
    assert "others change the tags of workspace w all the time" in warning
    assert "dead in 15 minutes: take it up again before that" in warning


def test_a_run_folder_that_cannot_be_made_leaves_it_as_it_was(
    detached, attach, batchai, monkeypatch, tmp_path
):
    """And the error says so."""
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(
        "batchai_recipes.session.beginning.runs_of", lambda _: tmp_path / "file" / "runs"
    )
    with pytest.raises(ConfigurationError, match="run folder .* cannot be made"):
        attach().__enter__()

    assert tags_sent(batchai)[-1] == TAGS


def test_what_could_not_be_kept_for_good_is_a_warning(batchai, connection, clock):
    """With what to do about it."""
    said = []
    with TrainingSession(
        ClusterBuilder("c").vm_size("STANDARD_D1"),
        connection=connection,
        pacing=clock.pacing(),
        resource_group="g",
        workspace="w",
        clean_up="never",
        report=said.append,
    ) as session:
        batchai.on("PATCH", "/workspaces/w", BUSY)

    (warning,) = [line for line in said if line.startswith("Warning: ")]
    assert "on another machine may delete it" in warning
    assert warning.endswith(f"TrainingSession.attach({session.id!r}, clean_up='never')")

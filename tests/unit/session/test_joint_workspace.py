"""What several sessions use of one workspace, on the level of HTTP."""

import json

import pytest
from azure.core.exceptions import HttpResponseError

from batchai_recipes.session.departure import Departure
from batchai_recipes.session.joint_in_workspace import JointInWorkspace
from batchai_recipes.session.joint_use import JointUse, Use
from batchai_recipes.session.lease import LEASE, Lease
from batchai_recipes.session.made import Made
from batchai_recipes.session.service_clock import ServiceClock
from batchai_recipes.session.workspace_notes import (
    DELETER,
    inner_labels,
    inner_uses,
    workspace_uses,
)

PLACE = ("g", "w", "c")
CLUSTER = Made("cluster", PLACE)
DOCUMENT = {"name": "c", "properties": {"provisioningState": "succeeded"}}


@pytest.fixture
def service_clock(clock):
    """The service's clock, which the test moves."""
    return ServiceClock(lambda: clock.now)


@pytest.fixture
def soon(service_clock):
    """Until when a session uses something that has just begun to."""
    return service_clock.now() + LEASE


@pytest.fixture
def there(endpoint):
    """A service with somebody's workspace, and a cluster once one is made."""
    endpoint.holds("/workspaces/w", there=True)
    endpoint.holds("/clusters/c")
    return endpoint


@pytest.fixture
def use(connection, clock, service_clock):
    """Make a session's use of the cluster."""

    def make(session, report=str):
        workspace = Departure(session, connection, service_clock).workspace(PLACE)
        clusters = connection.batchai.clusters

        def create():
            return clusters.begin_create(*PLACE, {"vmSize": "STANDARD_D1"}).result()

        thing = JointInWorkspace(CLUSTER, "cluster", workspace, create)
        return JointUse(thing, session, service_clock, clock.pacing(), report)

    return make


def tags(endpoint):
    """Return the tags that were written last."""
    *_, last = (r for r in endpoint.requests if r.method == "PATCH")
    return json.loads(last.body)["tags"]


def test_who_makes_a_cluster_notes_it_before(there, use, soon):
    """On the workspace, since a cluster can have no tags; whoever comes is noted beside."""
    assert use("a").begin(soon) == "made"
    changes = [call for call in there.calls if call.startswith(("PATCH", "PUT"))]
    assert [call.split("/")[-1] for call in changes] == ["w", "c"]
    assert use("b").begin(soon) == "joined"

    assert [(kind, name, one.session) for kind, name, one in inner_uses(tags(there))] == [
        ("cluster", "c", "a"),
        ("cluster", "c", "b"),
    ]


def test_the_last_one_deletes_it_and_what_was_noted(there, use, soon):
    """Having announced that, so that nobody begins to use it meanwhile."""
    use("a").begin(soon)
    use("b").begin(soon)

    assert str(use("a").end()) == "session b uses it"
    assert there.made("DELETE") == []
    assert use("b").end() is None
    announced = [json.loads(r.body)["tags"] for r in there.requests if r.method == "PATCH"][-2]
    assert announced["batchai_recipes_cluster.c." + DELETER] == "b"
    assert (there.made("DELETE"), tags(there)) == (["c"], {})


def test_one_that_comes_while_it_is_deleted_makes_it_anew(there, use, soon):
    """It has to wait for that."""
    use("a").begin(soon)
    said, standings = [], []

    def come(path):
        if there.calls[-1].startswith("DELETE"):
            there.before = str
            with pytest.raises(Exception, match="others delete or change it"):
                use("b", said.append).begin(soon)
            standings.append(tags(there))

    there.before = come
    assert use("a").end() is None
    assert said == ["Waiting for cluster c: its deletion"]
    assert [label for label in standings[0] if "_b" in label] == []
    assert use("b").begin(soon) == "made"


def test_what_somebody_else_made_is_used_without_a_note(there, use, soon, connection):
    """And stays."""
    connection.batchai.clusters.begin_create(*PLACE, {"vmSize": "STANDARD_D1"}).result()

    assert use("a").begin(soon) == "not ours"
    assert "made it anew" in str(use("a").end())
    assert [call for call in there.calls if call.startswith(("PATCH", "DELETE"))] == []


@pytest.mark.parametrize("status", [409, 412])
def test_what_somebody_makes_in_between_is_not_the_sessions(there, use, soon, status):
    """The note that was written before is taken away."""
    exists = {"error": {"code": "ClusterAlreadyExists", "message": "it exists"}}
    there.on("PUT", "/clusters/c", (status, exists))

    def made(path):
        if there.calls[-1].startswith("PUT"):
            there.on("GET", "/clusters/c", DOCUMENT)

    there.before = made
    if status == 412:
        assert use("a").begin(soon) == "not ours"
    else:
        with pytest.raises(HttpResponseError):
            use("a").begin(soon)
    assert tags(there) == {}
    assert "made it anew" in str(use("a").end())
    assert there.made("DELETE") == []


def test_a_note_of_what_was_never_made_goes_at_the_end(there, use, soon):
    """The request was refused."""
    there.on("PUT", "/clusters/c", (400, {"error": {"code": "BadRequest", "message": "no"}}))
    with pytest.raises(HttpResponseError):
        use("a").begin(soon)

    assert use("a").end() is None
    assert (there.made("DELETE"), tags(there)) == ([], {})


def test_a_deletion_that_is_refused_is_announced_no_more(there, use, soon):
    """Others can use it as before; a job needs it, for one."""
    use("a").begin(soon)
    there.on("DELETE", "/clusters/c", (409, {"error": {"code": "ClusterInUse", "message": "no"}}))
    with pytest.raises(HttpResponseError):
        use("a").end()

    assert use("b").begin(soon) == "joined"


def test_a_deleter_that_was_killed_is_waited_for_no_longer_than_its_lease(
    there, use, soon, clock, connection
):
    """What it left is used and deleted as by its next user."""
    use("a").begin(soon)
    noted = tags(there) | {"batchai_recipes_cluster.c." + DELETER: "a"}
    connection.batchai.workspaces.update("g", "w", {"tags": noted})
    clock.sleep(LEASE.total_seconds())

    assert use("b").begin(soon + LEASE) == "joined"
    assert use("b").end() is None
    assert tags(there) == {}


def test_one_that_is_made_anew_is_not_left_to_who_has_just_deleted_it(there, use, soon, connection):
    """That session has yet to take its notes away, and will see to nothing more."""
    use("a").begin(soon)
    noted = tags(there) | {"batchai_recipes_cluster.c." + DELETER: "a"}
    connection.batchai.workspaces.update("g", "w", {"tags": noted})
    connection.batchai.clusters.begin_delete(*PLACE).wait()

    assert use("b").begin(soon) == "made"
    assert use("b").end() is None
    assert (there.made("DELETE"), tags(there)) == (["c", "c"], {})


def test_what_nobody_noted_in_a_sessions_workspace_is_of_that_session(there, use, soon, connection):
    """A program of somebody's may have handed it over with the tags of the workspace alone."""
    connection.batchai.clusters.begin_create(*PLACE, {"vmSize": "STANDARD_D1"}).result()
    connection.batchai.workspaces.update("g", "w", {"tags": Lease("a", soon).tags()})

    assert "made it anew" in str(use("b").end())
    assert use("a").end() is None
    assert there.made("DELETE") == ["c"]


def test_names_are_the_same_in_upper_and_lower_case():
    """As resources' are."""
    entry = Use("s", None).entry()
    noted = {f"batchai_recipes_cluster.big.{name}": value for name, value in entry.items()}

    assert inner_labels("cluster", "BIG", noted) == entry
    assert inner_labels("cluster", "bigger", noted) == {}
    assert list(inner_uses(noted)) == [("cluster", "big", Use("s", None))]
    assert list(inner_uses(None)) == []


def test_a_lease_on_a_workspace_is_a_use_of_it(soon):
    """Until the later of what both say; kept is the latest."""
    lease = Lease("s", soon).tags()

    assert workspace_uses(lease) == [Use("s", soon)]
    assert workspace_uses(lease | Use("s", soon + LEASE).entry()) == [Use("s", soon + LEASE)]
    assert workspace_uses(lease | Use("s", None).entry()) == [Use("s", None)]
    assert workspace_uses({"mine": "yes"}) == []


def test_a_session_that_turns_out_to_live_is_left_alone(there, connection, service_clock, soon):
    """By whoever took it for gone since its lease had run out."""
    lease = Lease("a", soon)
    connection.batchai.workspaces.update("g", "w", {"tags": lease.tags()})
    other = Departure("a", connection, service_clock, lapsed=True).delete(
        Made("workspace", ("g", "w")), ()
    )

    assert str(other) == "session a, which lives, uses it"
    assert there.made("DELETE") == []

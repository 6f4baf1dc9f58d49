"""What a session keeps when it ends."""

from contextlib import suppress

import pytest

from batchai_recipes import ClusterBuilder, ConfigurationError, FileShareStaging, TrainingSession
from batchai_recipes.session.journal import abandoned
from batchai_recipes.session.reaping import reap


@pytest.fixture
def session(batchai, connection, clock):
    """Make a session with short names on the endpoint."""

    def make(**options):
        return TrainingSession(
            ClusterBuilder("c").vm_size("STANDARD_NC6"),
            connection=connection,
            pacing=clock.pacing(),
            resource_group="g",
            workspace="w",
            experiment="e",
            **options,
        )

    return make


@pytest.mark.parametrize(
    ("policy", "fails", "deleted"),
    [
        ("always", False, ["e", "c", "w", "g"]),
        ("always", True, ["e", "c", "w", "g"]),
        ("on_success", False, ["e", "c", "w", "g"]),
        ("on_success", True, []),
        ("never", False, []),
        ("never", True, []),
    ],
)
def test_each_policy(batchai, session, policy, fails, deleted):
    """After a good end and after an exception, which comes out unchanged."""
    with suppress(ZeroDivisionError), session(clean_up=policy):
        _ = 1 / (not fails)

    assert batchai.made("DELETE") == deleted


def test_what_is_kept_is_reported_with_the_command_that_deletes_it(session, connection):
    """And its journal stays for that command."""
    said = []
    with session(clean_up="never", report=said.append) as running:
        pass
    (journal,) = abandoned(connection.journals)
    journal.close()

    assert said[-1] == (
        f"Kept experiment e, cluster c, workspace w, resource group g; delete with: "
        f"batchai-recipes reap {running.id}"
    )
    assert journal.kept == journal.made


def test_reap_leaves_alone_what_was_kept_until_it_is_told(session, connection):
    """Only its session's id tells it."""
    said = []
    with session(clean_up="never") as running:
        pass
    reap(connection.journals, report=said.append)

    what = "experiment e, cluster c, workspace w, resource group g"
    assert said == [
        f"Session {running.id} kept {what}; delete with: batchai-recipes reap {running.id}"
    ]
    said.clear()
    reap(connection.journals, running.id, report=said.append, dry_run=True)
    assert said[-1].endswith("left: experiment e, cluster c, workspace w, resource group g")


def test_reap_names_a_session_that_left_nothing(connection):
    """A mistyped id is an error."""
    with pytest.raises(ConfigurationError, match="Session 'nobody' lives or has left nothing"):
        reap(connection.journals, "nobody", report=lambda _: None)


def test_outputs_can_be_kept_alone(batchai, session, connection, tmp_path):
    """They are on the share."""
    (tmp_path / "a.txt").write_text("a")
    batchai.on("GET", "/demo/data", 404)
    batchai.on("PUT", "/demo/data", 201)
    batchai.raw("GET", "/demo/data", (404, {"x-ms-error-code": "ShareNotFound"}, ""))
    with session(keep_outputs=True, staging=FileShareStaging("data")):
        pass

    assert "data" not in batchai.made("DELETE")
    assert batchai.made("DELETE") == ["e", "c", "w", "g"]


def test_a_policy_of_another_word_is_refused(session):
    """With those that there are."""
    with pytest.raises(ConfigurationError, match="'sometimes'.*'always', 'on_success', 'never'"):
        session(clean_up="sometimes")

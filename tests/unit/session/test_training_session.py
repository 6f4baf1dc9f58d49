"""TrainingSession, on the level of HTTP."""

import logging
import signal
import sys
from datetime import timedelta

import pytest
import requests

from batchai_recipes import (
    BatchAIRecipesError,
    CleanUpError,
    ClusterBuilder,
    ClusterError,
    CntkJobBuilder,
    ConfigurationError,
    RequestError,
    TrainingSession,
)
from batchai_recipes.session.journal import abandoned
from batchai_recipes.session.made import Made
from batchai_recipes.session.run_folder import RunFolder

CLUSTER = ClusterBuilder("c").vm_size("STANDARD_NC6")
JOB = CntkJobBuilder("j").script("train.py").std_out_err_path_prefix("$AZ_BATCHAI_MOUNT_ROOT")


def session(connection, clock, **options):
    """Return a session with short names on the endpoint."""
    named = {"resource_group": "g", "workspace": "w", "experiment": "e", **options}
    return TrainingSession(CLUSTER, connection=connection, pacing=clock.pacing(), **named)


def test_it_makes_everything_and_deletes_it_newest_first(batchai, connection, clock):
    """One deletion for each creation."""
    with session(connection, clock) as running:
        running.submit(JOB)

    assert (
        batchai.made("PUT"),
        batchai.made("DELETE"),
    ) == (["g", "w", "c", "e", "j"], ["j", "e", "c", "w", "g"])


def test_a_resource_group_that_exists_stays(batchai, connection, clock):
    """It is not the session's."""
    batchai.on("GET", "/resourcegroups/g", {"location": "eastus"})
    with session(connection, clock):
        pass

    assert batchai.made("DELETE") == ["e", "c", "w"]


@pytest.mark.parametrize("noun", ["workspaces/w", "clusters/c", "experiments/e"])
def test_what_exists_under_the_same_name_is_neither_used_nor_deleted(
    batchai, connection, clock, noun, ready
):
    """The session could not tell whose it is."""
    batchai.on("GET", f"/{noun}", ready)

    with pytest.raises(RequestError, match="choose another name"), session(connection, clock):
        pass
    assert noun.split("/")[1] not in batchai.made("DELETE")


@pytest.mark.parametrize(
    ("step", "deleted"),
    [
        ("/resourcegroups/g", []),  # one can see that it was not made
        ("/workspaces/w", ["g"]),  # the session looks and sees so too
        ("/clusters/c", ["c", "w", "g"]),  # it is there, made by the request that was refused
        ("/experiments/e", ["c", "w", "g"]),
    ],
)
def test_when_entering_fails_half_way_what_was_made_goes(batchai, connection, clock, step, deleted):
    """Also what may have been made by the request that failed."""
    batchai.on("PUT", step, (400, {"error": {"code": "BadRequest", "message": "no"}}))

    with pytest.raises(RequestError, match="BadRequest"), session(connection, clock):
        pass
    assert deleted == batchai.made("DELETE")


def test_unusable_nodes_are_reported_with_the_services_reason(batchai, connection, clock, ready):
    """And the cluster goes."""
    broken = ready
    broken["properties"]["nodeStateCounts"] = {"unusableNodeCount": 1}
    broken["properties"]["errors"] = [{"code": "ShareMountFailed", "message": "check the key"}]
    batchai.on("GET", "/clusters/c", 404, broken)

    with pytest.raises(ClusterError, match="check the key"), session(connection, clock):
        pass
    assert batchai.made("DELETE") == ["c", "w", "g"]


def test_an_exception_of_the_block_comes_out_unchanged(batchai, connection, clock):
    """After the clean-up."""
    with pytest.raises(ZeroDivisionError), session(connection, clock):
        _ = 1 / 0

    assert batchai.made("DELETE") == ["e", "c", "w", "g"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_the_block_and_clean_up(batchai, connection, clock, number):
    """Ctrl-C and SIGTERM alike."""
    with pytest.raises((KeyboardInterrupt, SystemExit)), session(connection, clock):
        signal.raise_signal(number)

    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert batchai.made("DELETE") == ["e", "c", "w", "g"]


def test_what_cannot_be_written_down_keeps_nothing_from_being_deleted(
    batchai, connection, clock, monkeypatch
):
    """Whatever the error is that the job's end gave; it is told."""
    said = []
    with session(connection, clock, report=said.append) as running:
        running.submit(JOB)
        monkeypatch.setattr(RunFolder, "job", lambda _, run: {}[run.name])

    assert batchai.made("DELETE") == ["j", "e", "c", "w", "g"]
    assert any("How job j ended could not be written down: KeyError" in line for line in said)


def test_a_failed_deletion_stops_no_other_and_is_raised(batchai, connection, clock):
    """All failures are in one group."""
    batchai.on("DELETE", "/clusters/c", (409, {"error": {"code": "Conflict", "message": "busy"}}))

    with pytest.raises(CleanUpError, match="busy") as raised, session(connection, clock):
        pass
    assert (len(raised.value.exceptions), batchai.made("DELETE")) == (1, ["e", "c", "w", "g"])


def test_a_failed_deletion_does_not_hide_the_blocks_exception(batchai, connection, clock):
    """The failure is reported beside it."""
    batchai.on("DELETE", "/clusters/c", (409, {"error": {"code": "Conflict", "message": "busy"}}))
    said = []

    with pytest.raises(ZeroDivisionError), session(connection, clock, report=said.append):
        _ = 1 / 0
    assert len([line for line in said if "busy" in line]) == 1


@pytest.mark.parametrize("raised", [ZeroDivisionError, KeyboardInterrupt, SystemExit])
def test_a_failed_deletion_is_seen_beside_the_blocks_exception(
    batchai, connection, clock, capsys, caplog, raised
):
    """By whoever looks: in its traceback, in the log, or on the standard error without one."""
    batchai.on("DELETE", "/clusters/c", (409, {"error": {"code": "Conflict", "message": "busy"}}))

    with pytest.raises(raised) as error, session(connection, clock):
        raise raised
    assert "busy" in caplog.text
    assert sys.version_info < (3, 11) or "busy" in error.value.__notes__[0]
    assert capsys.readouterr().err == ""


def test_without_a_log_a_failed_deletion_is_on_the_standard_error(
    batchai, connection, clock, capsys, monkeypatch
):
    """Once, although entering had failed already."""
    monkeypatch.setattr(logging.getLogger("batchai_recipes"), "propagate", False)
    refused = (409, {"error": {"code": "Conflict", "message": "busy"}})
    batchai.on("DELETE", "/clusters/c", refused)
    batchai.on("PUT", "/experiments/e", (400, {"error": {"code": "BadRequest", "message": "no"}}))

    with pytest.raises(RequestError, match="BadRequest"), session(connection, clock):
        pass
    told = capsys.readouterr().err
    assert told.startswith("The session could not delete everything that it made:")
    assert told.count("busy") == 1


def test_something_that_is_gone_already_counts_as_deleted(batchai, connection, clock):
    """Deletion succeeds when the thing is gone."""
    batchai.on("DELETE", "/(workspaces|clusters|experiments)/.", 204)

    def answer(request):
        """Somebody else deletes the group just before."""
        batchai.on("GET", "/resourcegroups/g", 404)
        return (404, {}, "")

    batchai.raw("DELETE", "/resourcegroups/g", answer)

    with session(connection, clock):
        pass


def test_what_somebody_else_made_in_between_is_left_alone(batchai, connection, clock):
    """The service says that it exists, so it is not the session's."""
    conflict = (409, {"error": {"code": "ClusterAlreadyExists", "message": "it exists"}})
    batchai.on("PUT", "/clusters/c", conflict)

    with pytest.raises(RequestError, match="exists"), session(connection, clock):
        pass
    assert batchai.made("DELETE") == ["w", "g"]


def test_a_clean_end_leaves_no_journal(batchai, connection, clock):
    """While the session lives there is one."""
    with session(connection, clock):
        during = list(connection.journals.iterdir())

    assert len(during) == 1
    assert list(connection.journals.iterdir()) == []


def test_what_could_not_be_deleted_stays_in_the_journal(batchai, connection, clock):
    """For `reap`, which deletes it when that works again, newest first."""
    refused = (409, {"error": {"code": "Conflict", "message": "busy"}})
    batchai.on("DELETE", "/clusters/c", refused)
    with pytest.raises(CleanUpError), session(connection, clock):
        pass
    (journal,) = abandoned(connection.journals)
    journal.close()

    assert journal.made == (Made("cluster", ("g", "w", "c")),)


def test_a_session_is_used_once_and_inside_its_block(batchai, connection, clock):
    """Both mistakes are named."""
    once = session(connection, clock)
    with pytest.raises(BatchAIRecipesError, match="has not been entered"):
        once.submit(JOB)
    with once:
        pass
    with pytest.raises(BatchAIRecipesError, match="entered before"), once:
        pass
    with pytest.raises(BatchAIRecipesError, match="This session has ended"):
        once.submit(JOB)
    with pytest.raises(BatchAIRecipesError, match="This session has ended"):
        once.map([JOB])
    with pytest.raises(BatchAIRecipesError, match="This session has ended"):
        once.detach(timedelta(hours=1))


@pytest.mark.parametrize("thing", [None, "myjob", {"name": "myjob"}])
def test_a_job_is_a_builder(batchai, connection, clock, thing):
    """What is none is named, and nothing is sent."""
    with session(connection, clock) as running:
        with pytest.raises(ConfigurationError, match=r"A job is CustomJobBuilder\('myjob'\)"):
            running.submit(thing)
        with pytest.raises(ConfigurationError, match="A job is CustomJobBuilder"):
            running.map([thing])


@pytest.mark.parametrize("deadline", ["8h", 60, timedelta(0), timedelta(hours=-1)])
def test_a_deadline_is_a_time_to_come(batchai, connection, clock, deadline):
    """A session that is detached until now would be deleted at once."""
    with (
        session(connection, clock) as running,
        pytest.raises(ConfigurationError, match=r"The deadline is .*: (write|give)"),
    ):
        running.detach(deadline)


def test_a_deadline_that_is_no_time_any_more_is_refused(batchai, connection, clock):
    """The session goes on."""
    with session(connection, clock) as running:
        with pytest.raises(ConfigurationError, match="from now: that is too long"):
            running.detach(timedelta.max)
        running.submit(JOB)
    assert batchai.made("DELETE")[0] == "j"


def test_a_process_that_was_forked_in_the_block_does_not_end_the_session(
    batchai, connection, clock, monkeypatch
):
    """It leaves its copy of the block; the session is its parent's."""
    with session(connection, clock) as running:
        with monkeypatch.context() as forked:
            forked.setattr("os.getpid", lambda: -1)
            running.__exit__(None, None, None)
            assert batchai.made("DELETE") == []
        running.submit(JOB)
    assert batchai.made("DELETE") == ["j", "e", "c", "w", "g"]


def test_a_job_that_does_not_fit_is_refused_before_anything_is_sent(batchai, connection, clock):
    """The cluster mounts no share to put its output on."""
    with session(connection, clock) as running:
        with pytest.raises(ConfigurationError, match="mounts no share"):
            running.submit(CntkJobBuilder("j").script("train.py"))
        assert "j" not in batchai.made("PUT")


def test_an_endpoint_that_does_not_answer_is_one_error(endpoint, connection, clock, monkeypatch):
    """After the clients' own retries, which do not really wait here."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    endpoint.on("GET", "/resourcegroups/g", requests.ConnectionError("connection refused"))

    with (
        pytest.raises(RequestError, match="create resource group g.*connection refused"),
        session(connection, clock),
    ):
        pass


def test_a_subscription_that_is_not_there_is_an_error_at_once(endpoint, connection, clock):
    """Nobody made the group meanwhile, as another answer to its creation would say."""
    missing = {"error": {"code": "SubscriptionNotFound", "message": "no subscription of that id"}}
    endpoint.on("GET", "/resourcegroups/g", (404, missing))
    endpoint.on("PUT", "/resourcegroups/g", (404, missing))

    with (
        pytest.raises(RequestError, match="create resource group g.*no subscription of that id"),
        session(connection, clock),
    ):
        pass
    assert endpoint.made("PUT") == ["g"]


def test_names_are_checked(connection):
    """Before anything is sent."""
    with pytest.raises(ConfigurationError, match="workspace"):
        TrainingSession(CLUSTER, connection=connection, workspace="no spaces")

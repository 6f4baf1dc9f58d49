"""Several clusters and many jobs in one session."""

import json
import threading
from collections import Counter

import pytest

from batchai_recipes import (
    ClusterBuilder,
    CntkJobBuilder,
    ConfigurationError,
    JobFailedError,
    JobsFailedError,
    RequestError,
    TrainingSession,
)
from batchai_recipes.session.session_clusters import SessionClusters

SMALL, LARGE = (ClusterBuilder(name).vm_size("STANDARD_D1") for name in ("small", "large"))


def job(name):
    """Return a job that needs no share."""
    return CntkJobBuilder(name).script("train.py").std_out_err_path_prefix("/tmp")


class Jobs:
    """Answers for jobs: each runs for some looks, then ends."""

    def __init__(self, endpoint, ready):
        self.there = set()
        self.looks = Counter()
        self.lasts = {}
        self.fails = set()
        self.unended = set()
        self.most = 0
        self._ready = ready
        endpoint.answer = self._answer

    def _answer(self, request):
        path = request.path_url.partition("?")[0]
        status, body = self._of(request.method, path)
        text = "" if request.method == "HEAD" else json.dumps(body)
        return (status, {"Content-Type": "application/json"}, text)

    def _of(self, method, path):
        base = "https://batchai.test/11111111-1111-1111-1111-111111111111"
        if "openid-configuration" in path:
            keys = ("issuer", "authorization_endpoint")
            return 200, {**dict.fromkeys(keys, base), "token_endpoint": f"{base}/token"}
        if path.endswith("/token"):
            return 200, {"access_token": "token", "expires_in": 3600, "token_type": "Bearer"}
        name = path.rpartition("/")[2]
        if method == "PUT":
            self.there.add(path)
            if "/jobs/" in path:
                self.unended.add(name)
                self.most = max(self.most, len(self.unended))
        elif method == "DELETE":
            self.there.discard(path)
        elif path not in self.there:
            return 404, {}
        return 200, self._job(name) if "/jobs/" in path else self._ready

    def _job(self, name):
        self.looks[name] += 1
        if self.looks[name] <= self.lasts.get(name, 2):
            return {"properties": {"executionState": "running"}}
        self.unended.discard(name)
        if name in self.fails:
            failed = {"executionState": "failed", "executionInfo": {"exitCode": 7}}
            return {"properties": failed}
        return {"properties": {"executionState": "succeeded"}}


@pytest.fixture
def jobs(endpoint, ready):
    """A service whose jobs end after some looks."""
    return Jobs(endpoint, ready)


@pytest.fixture
def session(jobs, connection, clock):
    """A session of two clusters that is entered."""
    with TrainingSession(SMALL, LARGE, connection=connection, pacing=clock.pacing()) as session:
        yield session


def names_of(runs):
    """Return the names of runs."""
    return [run.name for run in runs]


@pytest.mark.parametrize(("nodes", "waits"), [(1, False), (2, True)])
def test_a_job_for_more_nodes_than_there_are_is_submitted_and_told_of(
    session, caplog, nodes, waits
):
    """Somebody may scale the cluster; until then it would wait without a word."""
    with caplog.at_level("INFO", "batchai_recipes.session"):
        session.submit(job("wide").nodes(nodes), cluster="small")

    told = (
        "Job wide waits until cluster small is scaled: it runs on 2 nodes, and there are 1 at most"
    )
    assert (told in caplog.messages) == waits


def test_a_job_goes_to_the_cluster_that_is_named(session, endpoint):
    """By the cluster's resource id."""
    session.submit(job("j"), cluster="large")
    (body,) = [json.loads(r.body) for r in endpoint.requests if "/jobs/j" in r.url and r.body]

    assert body["properties"]["cluster"]["id"].endswith("/clusters/large")
    assert names_of(session.runs()) == ["j"]


def test_one_of_several_clusters_must_be_named(session):
    """And a typo is answered with the nearest."""
    with pytest.raises(ConfigurationError, match="clusters 'small', 'large': name one"):
        session.submit(job("j"))
    with pytest.raises(ConfigurationError, match="did you mean 'large'"):
        session.cluster_state("lrage")


def test_clusters_have_names_of_their_own():
    """Upper and lower case are the same to Azure; none at all is no session."""
    with pytest.raises(ConfigurationError, match="Two clusters"):
        TrainingSession(SMALL, ClusterBuilder("Small"))
    with pytest.raises(ConfigurationError, match="needs a cluster"):
        SessionClusters([])


def test_map_gives_runs_in_the_order_of_the_jobs(session, jobs):
    """Although the first ends last; no more run at a time than asked for."""
    jobs.lasts = {"a": 9}
    given = [job(name) for name in "abcde"]

    assert names_of(session.map(given, cluster="small", max_parallel=2)) == list("abcde")
    assert jobs.most == 2


def test_map_gives_runs_as_they_end(session, jobs):
    """When asked."""
    jobs.lasts = {"a": 9}
    given = [job(name) for name in "abc"]

    assert names_of(session.map(given, cluster="small", order="completed")) == list("bca")


def test_failures_stop_no_other_job_and_are_raised_together(session, jobs):
    """After the last run, each with its own error; then the iterator is at its end."""
    jobs.fails = {"a", "c"}
    runs = session.map([job(name) for name in "abcd"], cluster="small", max_parallel=1)
    given = []
    with pytest.raises(JobsFailedError, match="2 of 4 jobs failed") as raised:
        given += runs

    assert names_of(given) == ["b", "d"]
    assert [error.job for error in raised.value.exceptions] == ["a", "c"]
    assert all(isinstance(error, JobFailedError) for error in raised.value.exceptions)
    assert next(runs, None) is None


def test_a_refused_job_is_one_of_the_failures(session, endpoint):
    """The others run."""
    session.submit(job("b"), cluster="small")
    runs = session.map([job(name) for name in "abc"], cluster="small")

    assert [next(runs).name, next(runs).name] == ["a", "c"]
    with pytest.raises(JobsFailedError) as raised:
        next(runs)
    (error,) = raised.value.exceptions
    assert isinstance(error, RequestError)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_parallel": 0}, "at least 1 job"),
        ({"order": "random"}, "use 'submitted' or 'completed'"),
        ({"cluster": "none"}, "no cluster 'none'"),
    ],
)
def test_mistakes_are_named_before_anything_is_submitted(session, endpoint, options, message):
    """At the call, not while iterating."""
    with pytest.raises(ConfigurationError, match=message):
        session.map([job("a")], **{"cluster": "small", **options})
    with pytest.raises(ConfigurationError, match="Two jobs are named 'A'"):
        session.map([job("a"), job("A")], cluster="small")
    assert "a" not in endpoint.made("PUT")


def test_sessions_of_several_threads_do_not_disturb_each_other(jobs, connection, clock):
    """Each deletes what it made, and only that."""
    errors = []

    def use(name):
        try:
            with TrainingSession(
                ClusterBuilder(name).vm_size("STANDARD_D1"),
                connection=connection,
                pacing=clock.pacing(),
            ) as session:
                session.submit(job(f"j{name}")).wait()
        except BaseException as error:  # noqa: BLE001 - a thread's exception would be lost
            errors.append(error)

    # The clients are made before, as any program does that shares a connection among threads.
    _ = (connection.batchai, connection.resources)
    threads = [threading.Thread(target=use, args=(f"c{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert list(connection.journals.iterdir()) == []

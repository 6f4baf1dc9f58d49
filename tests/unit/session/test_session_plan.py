"""What a session would make, shown before."""

import json
from urllib.parse import urlsplit

import pytest

from batchai_recipes import (
    ClusterBuilder,
    CntkJobBuilder,
    ConfigurationError,
    FileShareStaging,
    TrainingSession,
)

CLUSTER = ClusterBuilder("c").vm_size("STANDARD_NC6").admin_user("me", password="s3cret-word")
JOB = (
    CntkJobBuilder("j")
    .script("train.py")
    .std_out_err_path_prefix("/tmp")
    .secret("TOKEN", "t0ken-value")
)


@pytest.fixture
def session(connection, clock):
    """A session that was not entered."""
    return TrainingSession(
        CLUSTER, connection=connection, pacing=clock.pacing(), resource_group="g", workspace="w"
    )


def test_it_shows_the_very_requests_that_are_sent_later(batchai, session):
    """Method, path and body; with the secrets left out."""
    plan = session.plan(JOB)
    with session:
        session.submit(JOB)
    sent = [r for r in batchai.requests if r.method == "PUT"]

    assert [r.path.casefold() for r in plan.requests] == [
        urlsplit(r.url).path.casefold() for r in sent
    ]
    for planned, really in zip(plan.requests, sent, strict=True):
        body = json.loads(really.body) if really.body else None
        text = (
            json.dumps(body).replace("s3cret-word", "<secret>").replace("t0ken-value", "<secret>")
        )
        assert without_lease(planned.body) == without_lease(json.loads(text))


def without_lease(body):
    """Drop what depends on when the request is sent."""
    if isinstance(body, dict) and "tags" in body:
        tags = {
            name: value.split()[0]
            for name, value in body["tags"].items()
            if name != "batchai-recipes-lease"
        }
        return {**body, "tags": tags}
    return body


def test_it_makes_nothing(endpoint, session):
    """Not a single request."""
    session.plan(JOB)

    assert endpoint.calls == []


def test_it_is_printable_and_names_uploads(connection, tmp_path):
    """No secret is in it."""
    (tmp_path / "train.py").write_text("")
    staging = FileShareStaging("data").directory("code").upload(tmp_path / "train.py")
    cluster = CLUSTER.mount(staging, at="share")
    text = str(TrainingSession(cluster, staging=staging, connection=connection).plan(JOB))

    assert "file share data: PUT /data?restype=share" in text
    assert "cluster c: PUT /subscriptions/" in text
    assert '"accountKey": "<secret>"' in text
    assert "upload code/train.py" in text
    assert not [s for s in ("s3cret-word", "t0ken-value", connection.storage.key) if s in text]


def test_several_shares_are_made_in_order(connection, tmp_path):
    """Each with what is staged to it."""
    (tmp_path / "train.py").write_text("")
    stagings = [FileShareStaging("logs"), FileShareStaging("scripts").upload(tmp_path / "train.py")]
    plan = TrainingSession(CLUSTER, staging=stagings, connection=connection).plan()

    shares = [one.what for one in plan.requests if one.what.startswith("file share")]
    assert (shares, plan.uploads) == (["file share logs", "file share scripts"], ("train.py",))


def test_a_job_that_does_not_fit_is_an_error(session):
    """As it would be when it is submitted."""
    with pytest.raises(ConfigurationError, match="mounts no share"):
        session.plan(CntkJobBuilder("j").script("train.py"))

"""What notebooks show: tables, escaped, without secrets."""

from xml.etree import ElementTree as ET

import pytest

from batchai_recipes import (
    ClusterBuilder,
    ClusterState,
    ConnectionSettings,
    CustomJobBuilder,
    FileShareStaging,
    Metrics,
    TrainingSession,
)

CLUSTER = (
    ClusterBuilder("c")
    .vm_size("STANDARD_NC6")
    .admin_user("demo", password="s3cret pass")
    .mount("other", at="share", account="elsewhere", key="c2VjcmV0")
    .setup_task("echo <b>", secrets={"TOKEN": "s3cret"})
)
JOB = (
    CustomJobBuilder("j")
    .command_line("a < b && c")
    .secret("TOKEN", "s3cret")
    .container("image", username="u", password="s3cret")
)


@pytest.mark.parametrize(
    ("thing", "shown"),
    [
        (CLUSTER, "STANDARD_NC6"),
        (JOB, "a < b && c"),
        (ClusterState("steady", target=2, errors=("Code: <x>",)), "Code: <x>"),
        (Metrics(({"loss": 0.5, "note": "<i>"}, {"loss": None})), "<i>"),
        (FileShareStaging("data").from_url("https://example.org/a.csv"), "a.csv"),
        (TrainingSession(CLUSTER, staging=FileShareStaging("data")), "not entered"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_table_is_well_formed_and_holds_no_secret(thing, shown):
    """Whatever the texts in it hold."""
    html = thing._repr_html_()
    text = "".join(ET.fromstring(html.replace("<br>", "<br/>")).itertext())

    assert shown in text
    assert not [secret for secret in ("s3cret", "c2VjcmV0") if secret in html]


def test_a_run_is_shown_with_its_states(endpoint, connection, settings):
    """As far as they are known: showing it asks nobody."""
    from batchai_recipes import JobRun, Pacing  # noqa: PLC0415 - loaded on first use
    from batchai_recipes.runs.job_place import JobPlace  # noqa: PLC0415 - likewise

    assert isinstance(settings, ConnectionSettings)
    place = JobPlace("g<", "w", "e", "j")
    run = JobRun(connection, place, report=lambda _: None, pacing=Pacing())
    assert "not asked for yet" in run._repr_html_()
    assert endpoint.calls == []
    endpoint.on("GET", "/jobs/j", {"properties": {"executionState": "running"}})
    _ = run.state

    assert ("running" in run._repr_html_(), "g&lt;" in run._repr_html_()) == (True, True)


def test_a_long_table_says_how_much_it_leaves_out():
    """A notebook is no place for a million rows."""
    html = Metrics(tuple({"step": n} for n in range(75)))._repr_html_()

    assert (html.count("<tr>"), "and 25 more" in html) == (52, True)


def test_a_plan_is_shown_as_a_table():
    """Each request with its method and path."""
    from batchai_recipes import PlannedRequest, SessionPlan  # noqa: PLC0415 - loaded on first use

    html = SessionPlan("s", (PlannedRequest("share <x>", "PUT", "/x"),), ("a.py",))._repr_html_()

    assert ("share &lt;x&gt;" in html, "PUT /x" in html, "a.py" in html) == (True,) * 3

"""Spans of sessions and runs, and nothing where nobody traces."""

import subprocess
import sys

import pytest

from batchai_recipes import ClusterBuilder, CntkJobBuilder, FileShareStaging, RequestError
from batchai_recipes import TrainingSession as Session
from batchai_recipes.tracing import carried, span, spanned

pytest.importorskip("opentelemetry.sdk")

from azure.core.settings import settings as azure_settings
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

CLUSTER = ClusterBuilder("c").vm_size("STANDARD_NC6")
JOB = CntkJobBuilder("j").script("train.py").std_out_err_path_prefix("$AZ_BATCHAI_MOUNT_ROOT")
MISSING = (404, {"error": {"code": "ResourceNotFound", "message": "it is not found"}})
READY = {
    "properties": {
        "allocationState": "steady",
        "currentNodeCount": 1,
        "scaleSettings": {"manual": {"targetNodeCount": 1}},
        "nodeStateCounts": {"idleNodeCount": 1},
    }
}
LISTING = (200, {}, "<EnumerationResults><Entries/><NextMarker/></EnumerationResults>")
SECRET = "sig=c2VjcmV0"


@pytest.fixture(scope="module")
def exporter():
    """What the process's spans go to; their provider can be set but once."""
    exporter = InMemorySpanExporter()
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        trace.set_tracer_provider(TracerProvider())
    trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(exporter))
    return exporter


@pytest.fixture
def spans(exporter):
    """Switch tracing on, as a program does, and return how to get the spans that have ended."""
    exporter.clear()
    azure_settings.tracing_enabled = True
    yield exporter.get_finished_spans
    azure_settings.tracing_enabled.unset_value()


@pytest.fixture
def batchai(endpoint):
    """A service that makes, runs and deletes everything at once."""
    for noun in ("workspaces", "experiments", "clusters", "jobs"):
        endpoint.on("PUT", f"/{noun}/[^/]+", (200, {"properties": {}}))
    endpoint.on("GET", "/clusters/c", MISSING, READY)
    states = [{"properties": {"executionState": state}} for state in ("running", "succeeded")]
    endpoint.on("GET", "/jobs/j", MISSING, *states)
    link = {"name": "stdout.txt", "fileType": "file"}
    link |= {"downloadUrl": f"https://files.test/demo/data/stdout.txt?{SECRET}"}
    link |= {"properties": {"contentLength": 4}}
    endpoint.on("POST", "/listOutputFiles", {"value": [link]})
    octets = {"Content-Type": "application/octet-stream", "Content-Range": "bytes 0-3/4"}
    endpoint.raw("GET", "/stdout.txt", (206, octets, "one\n"), (416, {}, ""))
    endpoint.raw("GET", "/demo/data", (404, {"x-ms-error-code": "ShareNotFound"}, ""), LISTING)
    endpoint.raw("PUT", "/demo/data.*", (201, {"ETag": '"0x1"', "Last-Modified": "now"}, ""))
    endpoint.on("DELETE", ".*", 200)
    endpoint.holds("/workspaces/[^/]+")
    endpoint.holds("/experiments/[^/]+")
    endpoint.holds("/resourcegroups/[^/]+")
    endpoint.holds("/demo/data")
    return endpoint


def session(connection, clock, **options):
    """Return a session with short names on the endpoint."""
    named = {"resource_group": "g", "workspace": "w", "experiment": "e", **options}
    return Session(CLUSTER, connection=connection, pacing=clock.pacing(), **named)


def tree(spans, *, http=False):
    """Return names of spans with those of the spans that they lie in, the clients' left out."""
    by_id = {span.context.span_id: span for span in spans}

    def parents(span):
        while span.parent:
            span = by_id[span.parent.span_id]
            yield span.name

    own = [s for s in spans if s.instrumentation_scope.name == "batchai-recipes"]
    chosen = [s for s in spans if s.kind == trace.SpanKind.CLIENT] if http else own
    own_names = {span.name for span in own}
    return [(s.name, next((n for n in parents(s) if n in own_names), None)) for s in chosen]


def test_a_session_and_its_steps_are_spans(batchai, connection, clock, spans, tmp_path):
    """In the order in which they end, each with the one that it lies in."""
    staging = FileShareStaging("data")
    with session(connection, clock, staging=staging) as running:
        run = running.submit(JOB)
        assert list(run.stream()) == ["one"]
        run.wait()
        batchai.raw("GET", "/stdout.txt", (200, {}, "one\n"))
        run.outputs("stdouterr").download(tmp_path)

    whole = "TrainingSession"
    assert tree(spans()) == [
        ("create resource group", whole),
        ("create workspace", whole),
        ("create file share", "stage"),
        ("stage", whole),
        ("create cluster", whole),
        ("wait for cluster", whole),
        ("create experiment", whole),
        ("create job", whole),
        ("stream", whole),
        ("wait for job", whole),
        ("download outputs", whole),
        *[(f"delete {kind}", whole) for kind in ("job", "experiment", "cluster", "file share")],
        ("delete workspace", whole),
        ("delete resource group", whole),
        (whole, None),
    ]


def test_every_request_of_a_session_lies_in_one_of_its_spans(
    batchai, connection, clock, spans, tmp_path
):
    """Those of other threads too; and no span has what a link is signed with."""
    with session(connection, clock) as running:
        run = running.submit(JOB)
        assert list(run.stream()) == ["one"]
        batchai.raw("GET", "/stdout.txt", (200, {}, "one\n"))
        run.outputs("stdouterr").download(tmp_path)
    requests = tree(spans(), http=True)

    assert ("GET", "stream") in requests
    assert ("GET", "download outputs") in requests
    assert not [request for request in requests if request[1] is None]
    assert not [s for s in spans() if SECRET in str(s.attributes)]


def test_spans_tell_what_they_are_of(batchai, connection, clock, spans):
    """By attributes, since names are the same for all."""
    with session(connection, clock):
        pass
    attributes = {s.name: dict(s.attributes) for s in spans() if not s.name.isupper()}

    assert attributes["create cluster"] == {"batchai.cluster": "c"}
    assert attributes["delete resource group"] == {"batchai.resource_group": "g"}
    assert attributes["TrainingSession"]["batchai.session"].startswith("batchai-recipes-")


def test_a_failure_is_a_status(batchai, connection, clock, spans):
    """Of the step and of the session."""
    batchai.on("PUT", "/clusters/c", (400, {"error": {"code": "BadRequest", "message": "no"}}))
    with pytest.raises(RequestError), session(connection, clock):
        pass
    failed = [s.name for s in spans() if not s.status.is_ok and s.name.startswith("create")]

    assert failed == ["create cluster"]
    assert "TrainingSession" in [s.name for s in spans()]


def test_what_a_program_does_with_a_line_lies_not_in_the_stream(spans):
    """A generator must not leave its span behind as the present one."""

    def values():
        with span("inside"):
            yield_me = 1
        yield yield_me

    for _ in spanned("stream", values()):
        with span("of the program"):
            pass

    assert tree(spans()) == [("inside", "stream"), ("of the program", None), ("stream", None)]


def test_an_abandoned_stream_ends_its_span(spans):
    """With the generator."""
    lines = spanned("stream", iter("ab"))
    next(lines)
    lines.close()

    assert [s.name for s in spans()] == ["stream"]


def test_nothing_is_traced_where_nobody_asked(exporter, batchai, connection, clock):
    """Although OpenTelemetry is there."""
    exporter.clear()
    with session(connection, clock):
        pass
    assert carried(len)("ab") == 2

    assert exporter.get_finished_spans() == ()


def test_without_opentelemetry_nothing_of_it_is_imported():
    """Nor asked for, whatever the setting says."""
    program = (
        "import sys\n"
        "sys.modules['opentelemetry'] = None\n"
        "from batchai_recipes.tracing import span, spanned\n"
        "from azure.core.settings import settings\n"
        "for settings.tracing_enabled in (False, True):\n"
        "    with span('block', job='j'):\n"
        "        assert list(spanned('values', iter([1]))) == [1]\n"
        "print(*[m for m in sys.modules if m.startswith('opentelemetry')])\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("opentelemetry\n", "")

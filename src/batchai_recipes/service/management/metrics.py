"""What the service counts and measures, in Prometheus's text format."""

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from batchai_recipes.service.management.documents import JSONResponse
from batchai_recipes.service.store import Store

_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_METHODS: Final = frozenset({"GET", "HEAD", "PUT", "PATCH", "POST", "DELETE"})
_GAUGES: Final = (
    (
        "batchai_jobs",
        "Jobs by execution state.",
        "SELECT execution_state, COUNT(*) FROM jobs GROUP BY 1",
    ),
    ("batchai_nodes", "Compute nodes by state.", "SELECT state, COUNT(*) FROM nodes GROUP BY 1"),
    (
        "batchai_clusters",
        "Clusters by allocation state.",
        "SELECT allocation_state, COUNT(*) FROM clusters GROUP BY 1",
    ),
    (
        "batchai_operations",
        "Long-running operations by status.",
        "SELECT status, COUNT(*) FROM operations GROUP BY 1",
    ),
)


class Metrics:
    """The measures of one service; none of them names a resource or a caller.

    Args:
        store: The records, which are counted when someone looks.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._registry = CollectorRegistry()
        self._registry.register(_Records(store))
        self._requests = Counter(
            "batchai_requests",
            "Requests answered by the management plane.",
            ("method", "endpoint", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "batchai_request_seconds",
            "How long the management plane took to answer, in seconds.",
            ("method",),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        # Finding the series of a request by its labels takes longer than counting it.
        self._counted: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def observe(self, method: str, endpoint: str, status: int, seconds: float) -> None:
        """Count one request.

        Args:
            method: Its method.
            endpoint: The path template of its endpoint, or 'other'.
            status: The status of its answer.
            seconds: How long it took, in seconds.
        """
        counted = self._counted.get((method, endpoint, status))
        if counted is None:
            # Whatever a client makes up must not become a time series of its own.
            method = method if method in _METHODS else "other"
            counted = (
                self._requests.labels(method, endpoint, status),
                self._seconds.labels(method),
            )
            if method != "other":
                self._counted[method, endpoint, status] = counted
        requests, spent = counted
        requests.inc()
        spent.observe(seconds)

    def routes(self) -> list[Route]:
        """Return the endpoints for those who watch the service; they need no token."""
        return [
            Route("/healthz", self._healthz, methods=["GET"]),
            Route("/metrics", self._metrics, methods=["GET"]),
        ]

    async def _healthz(self, _request: Request) -> Response:
        """Answer 200 where the records can be read; a failure to read them is logged and a 500."""
        with self._store.read() as records:
            records.execute("SELECT 1 FROM resources LIMIT 1").fetchone()
        return JSONResponse({"status": "ok"})

    async def _metrics(self, _request: Request) -> Response:
        # Counting all records takes a while where there are many.
        text = await run_in_threadpool(generate_latest, self._registry)
        return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)


class _Records(Collector):
    """Counts what is in the records at the moment of looking."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return [GaugeMetricFamily(name, text, labels=["state"]) for name, text, _ in _GAUGES]

    def collect(self) -> Iterable[GaugeMetricFamily]:
        with self._store.read() as records:
            for name, text, query in _GAUGES:
                family = GaugeMetricFamily(name, text, labels=["state"])
                for state, count in records.execute(query).fetchall():
                    family.add_metric([state], count)
                yield family

"""SessionPlan: what a session would make, shown without making anything."""

import json
from collections.abc import Iterable, Iterator, Sequence

from attrs import field, frozen

from batchai_recipes.builders.cluster import ClusterBuilder
from batchai_recipes.builders.job import JobBuilder
from batchai_recipes.notebook import grid
from batchai_recipes.session.blueprint import Blueprint
from batchai_recipes.session.redaction import Redaction
from batchai_recipes.staging.file_share_staging import FileShareStaging


@frozen
class PlannedRequest:
    """One request that a session would send.

    Args:
        what: What it makes, such as ``cluster mycluster``.
        method: The HTTP method.
        path: The path on the endpoint.
        body: The JSON body, with ``<secret>`` in the place of each secret; None for none.

    Example:
        >>> print(PlannedRequest("workspace mine", "PUT", "/mine", {"location": "eastus"}))
        workspace mine: PUT /mine
        {
          "location": "eastus"
        }
    """

    what: str
    method: str
    path: str
    body: object = None

    def __str__(self) -> str:
        head = f"{self.what}: {self.method} {self.path}"
        return f"{head}\n{json.dumps(self.body, indent=2)}" if self.body is not None else head


@frozen
class SessionPlan:
    """What a session would make, in order; printing it shows each request.

    What exists already and may be used is not made: the plan does not ask the service.

    Args:
        session: The session's id.
        requests: The requests to the management plane and for the file share.
        uploads: The paths on the share of the files that would be staged, unless they are there.

    Example:
        >>> plan = SessionPlan("s", (PlannedRequest("share data", "PUT", "/data"),), ("train.py",))
        >>> print(plan)
        Session s would make:
        share data: PUT /data
        upload train.py
    """

    session: str
    requests: tuple[PlannedRequest, ...]
    uploads: tuple[str, ...] = field(default=())

    def _repr_html_(self) -> str:
        """Return it as a table, for notebooks."""
        made = [(one.what, f"{one.method} {one.path}") for one in self.requests]
        rows = [*made, *((f"file {path}", "upload") for path in self.uploads)]
        return grid(f"Session {self.session} would make", ["what", "how"], rows)

    def __str__(self) -> str:
        lines = [f"Session {self.session} would make:", *map(str, self.requests)]
        return "\n".join([*lines, *(f"upload {path}" for path in self.uploads)])


@frozen
class Planner:
    """Plans a session.

    Args:
        blueprint: Its id and its requests.
        redaction: Knows the secrets.
    """

    blueprint: Blueprint
    redaction: Redaction

    def plan(
        self,
        stagings: Sequence[FileShareStaging],
        clusters: Iterable[ClusterBuilder],
        jobs: Iterable[tuple[JobBuilder, ClusterBuilder]],
    ) -> SessionPlan:
        """Return what the session would make.

        Args:
            stagings: What would be staged.
            clusters: Its clusters.
            jobs: Jobs, each with the cluster that it would run on.

        Raises:
            ConfigurationError: A cluster or a job is not complete, or they do not fit each other.
        """
        uploads = [
            path
            for staging in stagings
            for path in (
                *(file.path for file in staging.files),
                *(url.path for url in staging.urls),
            )
        ]
        return SessionPlan(
            self.blueprint.session, tuple(self._requests(stagings, clusters, jobs)), tuple(uploads)
        )

    def _requests(
        self,
        stagings: Sequence[FileShareStaging],
        clusters: Iterable[ClusterBuilder],
        jobs: Iterable[tuple[JobBuilder, ClusterBuilder]],
    ) -> Iterator[PlannedRequest]:
        blueprint, names = self.blueprint, self.blueprint.names
        yield self._put("resource group", (names.resource_group,), blueprint.resource_group())
        yield self._put("workspace", names.workspace_place, body_of(blueprint.workspace()))
        for staging in stagings:
            path = f"/{staging.share}?restype=share"
            yield PlannedRequest(f"file share {staging.share}", "PUT", path)
        for cluster in clusters:
            place = names.cluster_place(cluster.name)
            yield self._put("cluster", place, body_of(blueprint.cluster(cluster)))
        yield self._put("experiment", names.experiment_place, None)
        for job, cluster in jobs:
            yield self._put("job", names.job_place(job.name), body_of(blueprint.job(job, cluster)))

    def _put(self, kind: str, place: tuple[str, ...], body: object) -> PlannedRequest:
        path = self.blueprint.path(kind, place)
        return PlannedRequest(f"{kind} {place[-1]}", "PUT", path, self.redaction.document(body))


def body_of(parameters: object) -> object:
    """Return the JSON body that an Azure client sends for a model.

    Args:
        parameters: The model, or a body as it is.
    """
    serialize = getattr(parameters, "serialize", None)
    return serialize() if serialize else parameters

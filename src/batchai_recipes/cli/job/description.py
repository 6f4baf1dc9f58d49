"""What the commands say of a job."""

from typing import TYPE_CHECKING, cast

from batchai_recipes.cli.console import moment
from batchai_recipes.cli.finding import names_in, place_of_job

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import Job

COLUMNS = (
    *("Name", "State", "Exit code", "Nodes", "Toolkit"),
    *("Cluster", "Experiment", "Workspace", "Created"),
)


def wire(job: "Job") -> dict[str, object]:
    """Return a job as the service described it.

    Args:
        job: The official model.
    """
    return cast("dict[str, object]", job.serialize(keep_readonly=True))  # type: ignore[no-untyped-call]  # msrest's


def word(value: object) -> str:
    """Return the word of one of the package's enumerations."""
    return str(getattr(value, "value", value) or "")


def row(job: "Job") -> tuple[object, ...]:
    """Return a job's line in a list, in the order of :data:`COLUMNS`."""
    place, info = place_of_job(job), job.execution_info
    return (
        *(place.job, word(job.execution_state), info.exit_code if info else None),
        *(job.node_count, word(job.tool_type), cluster_of(job)),
        *(place.experiment, place.workspace, moment(job.creation_time)),
    )


def cluster_of(job: "Job") -> str:
    """Return the name of the cluster that a job runs on."""
    return names_in(str(job.cluster.id)).get("clusters", "") if job.cluster else ""


def properties(job: "Job") -> list[tuple[str, object]]:
    """Return what is told of one job."""
    place, info = place_of_job(job), job.execution_info
    errors = (info.errors or []) if info else []
    outputs = [str(output.id) for output in job.output_directories or []]
    return [
        ("Name", place.job),
        ("Experiment", place.experiment),
        ("Workspace", place.workspace),
        ("Resource group", place.resource_group),
        ("Cluster", cluster_of(job)),
        ("Toolkit", word(job.tool_type)),
        ("Nodes", job.node_count),
        ("Priority", word(job.scheduling_priority)),
        ("State", word(job.execution_state)),
        ("Exit code", info.exit_code if info else None),
        ("Errors", "\n".join(f"{error.code}: {error.message}" for error in errors)),
        ("Outputs", ", ".join(outputs)),
        ("Created", moment(job.creation_time)),
        ("Started", moment(info.start_time) if info else None),
        ("Ended", moment(info.end_time) if info else None),
    ]

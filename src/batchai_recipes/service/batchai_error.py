"""The errors that clusters and jobs report of themselves, in Batch AI's shape."""

import json
from collections.abc import Iterable, Mapping

from attrs import Factory, frozen


@frozen
class BatchAIError:
    """One entry of a cluster's or a job's ``errors``.

    Args:
        code: What happened, for programs.
        message: What happened and what to do, for people.
        details: Names and values that go with it.
    """

    code: str
    message: str
    details: Mapping[str, str] = Factory(dict)

    def as_object(self) -> dict[str, object]:
        """Return the error as it goes over the wire."""
        answer: dict[str, object] = {"code": self.code, "message": self.message}
        if self.details:
            answer["details"] = [{"name": n, "value": v} for n, v in self.details.items()]
        return answer


def errors_as_json(errors: Iterable[BatchAIError]) -> str:
    """Write errors as records hold them.

    Args:
        errors: The errors, the most telling first.

    Example:
        >>> errors_as_json([BatchAIError("JobTerminated", "It was terminated")])
        '[{"code": "JobTerminated", "message": "It was terminated"}]'
    """
    return json.dumps([error.as_object() for error in errors])

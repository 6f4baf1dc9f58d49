"""Which endpoint a request is for: paths are matched segment by segment, in any case."""

from collections.abc import Iterable, Sequence
from typing import Final

from attrs import define, field, frozen

from batchai_recipes.service.management.calls import Endpoint

_PARAMETER: Final = "{"


@frozen
class Found:
    """What is at a path.

    Args:
        endpoints: The endpoints by method.
        values: What stands in the path where the endpoints' templates have parameters, in order.
    """

    endpoints: dict[str, Endpoint]
    values: tuple[str, ...]

    def names(self, endpoint: Endpoint) -> dict[str, str]:
        """Return the path parameters of one of the endpoints.

        Args:
            endpoint: The endpoint.
        """
        return dict(zip(endpoint.parameters, self.values, strict=True))


@define
class _Place:
    """One segment of the paths that there are, with what may follow it."""

    literals: dict[str, "_Place"] = field(factory=dict)
    parameter: "_Place | None" = None
    endpoints: dict[str, Endpoint] = field(factory=dict)

    def next(self, segment: str) -> "_Place | None":
        """Return what is below where a segment is spelt out."""
        return self.literals.get(segment) or self.literals.get(segment.lower())

    def search(self, segments: Sequence[str], at: int, values: tuple[str, ...]) -> Found | None:
        """Look for the rest of a path; what is spelt out goes before what is free."""
        if at == len(segments):
            return Found(self.endpoints, values) if self.endpoints else None
        segment = segments[at]
        literal = self.next(segment)
        found = literal.search(segments, at + 1, values) if literal is not None else None
        if found is None and self.parameter is not None and segment:
            found = self.parameter.search(segments, at + 1, (*values, segment))
        return found


class Routes:
    """The endpoints of the management plane by their paths.

    Args:
        endpoints: The endpoints.

    Example:
        >>> groups = Endpoint("GET", "/subscriptions/{subscriptionId}/resourceGroups", print)
        >>> found = Routes([groups]).find("/subscriptions/s/RESOURCEGROUPS")
        >>> found.names(groups)
        {'subscriptionId': 's'}
        >>> Routes([groups]).find("/subscriptions//resourceGroups")
    """

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self._root = _Place()
        for endpoint in endpoints:
            self._place(endpoint.path).endpoints[endpoint.method] = endpoint

    def find(self, path: str) -> Found | None:
        """Return what is at a path, or None where nothing is.

        Args:
            path: The path of a request, decoded.
        """
        segments = path.split("/")
        place, values = self._root, []
        for segment in segments:
            literal = place.next(segment)
            if literal is not None:
                place = literal
            elif place.parameter is not None and segment:
                values.append(segment)
                place = place.parameter
            else:
                break
        else:
            if place.endpoints:
                return Found(place.endpoints, tuple(values))
        # What is a word of another path may be a value here: try all ways.
        return self._root.search(segments, 0, ())

    def _place(self, template: str) -> _Place:
        place = self._root
        for segment in template.split("/"):
            if segment.startswith(_PARAMETER):
                place.parameter = place.parameter or _Place()
                place = place.parameter
            else:
                below = place.literals.setdefault(segment.lower(), _Place())
                # Clients mostly write it as the contract does.
                place.literals[segment] = below
                place = below
        return place

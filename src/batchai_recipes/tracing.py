"""Spans of what the library does, where the program traces what the Azure clients do.

azure-core decides: there are spans when its setting ``tracing_enabled`` (``AZURE_TRACING_ENABLED``)
is on and OpenTelemetry is installed. The clients' own spans, those of their HTTP requests among
them, then lie inside these.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from contextvars import copy_context
from importlib.metadata import version
from typing import TYPE_CHECKING, Final, TypeVar

from typing_extensions import ParamSpec, Self

if TYPE_CHECKING:
    from azure.core.tracing.opentelemetry import OpenTelemetryTracer

P = ParamSpec("P")
T = TypeVar("T")

_DISTRIBUTION: Final = "batchai-recipes"


@contextmanager
def span(name: str, **attributes: str) -> Iterator[None]:
    """Make a span of a block or, as a decorator, of each call of a function.

    Args:
        name: What is done, whatever it is done to.
        attributes: What it is done to; each name gets the prefix ``batchai.``.
    """
    tracer = _tracer()
    if tracer is None:
        yield
        return
    with tracer.start_as_current_span(name, attributes=_prefixed(attributes)):
        yield


def spanned(name: str, values: Iterator[T], **attributes: str) -> Generator[T, None, None]:
    """Make a span of what an iterator does, and not of what the program does with each value.

    Args:
        name: As of :func:`span`.
        values: The iterator.
        attributes: As of :func:`span`.
    """
    with _PausedSpan(name, attributes) as paused:
        while True:
            with paused.resumed():
                try:
                    value = next(values)
                except StopIteration:
                    return
            yield value


def carried(function: Callable[P, T]) -> Callable[P, T]:
    """Return a function that runs inside the present span, in whatever thread it is called.

    Args:
        function: The function; the one returned may be called several times, also side by side.

    Example:
        >>> carried(len)("abc")
        3
    """
    context = copy_context()

    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return context.copy().run(function, *args, **kwargs)

    return run


class _PausedSpan:
    """A span that is the present one only now and then."""

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self._tracer = _tracer()
        self._ending = ExitStack()
        if self._tracer is not None:
            self._span = self._tracer.start_span(name, attributes=_prefixed(attributes))
            self._ending.callback(self._span.end)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.close()

    def resumed(self) -> AbstractContextManager[object]:
        """Return a block during which it is the present span."""
        if self._tracer is None:
            return nullcontext()
        return self._tracer.use_span(self._span, end_on_exit=False)


def _tracer() -> "OpenTelemetryTracer | None":
    from azure.core.settings import settings  # noqa: PLC0415 - loaded on first use

    if not settings.tracing_enabled():
        return None
    try:
        from azure.core.instrumentation import get_tracer  # noqa: PLC0415 - likewise
    except ImportError:  # azure-core before 1.33
        return None
    return get_tracer(library_name=_DISTRIBUTION, library_version=version(_DISTRIBUTION))


def _prefixed(attributes: dict[str, str]) -> dict[str, str]:
    return {f"batchai.{name}": value for name, value in attributes.items()}

"""What the service asks nodes, through its driver."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

from batchai_recipes.service.engines.ray.actors import first_line, is_passing, raised_by_node
from batchai_recipes.service.engines.ray.answers import Answers, later
from batchai_recipes.service.engines.ray.messages import Answer, Call, Refusal

_RETRY_SECONDS: Final = 1.0


class Calls:
    """Asks nodes, and tells the service what they answer.

    Args:
        actor: Finds the actor of a node.
        answers: Brings what actors answer.
        send: Tells the service.
    """

    def __init__(
        self,
        *,
        actor: Callable[[str], Any],
        answers: Answers,
        send: Callable[[object], None],
    ) -> None:
        self._actor = actor
        self._answers = answers
        self._send = send

    def make(self, call: Call) -> None:
        """Ask a node, again as long as it cannot be reached and is not lost.

        Args:
            call: Which node, and what.
        """
        self._make(call, may_be_heard=False)

    def _make(self, call: Call, *, may_be_heard: bool) -> None:
        actor = self._actor(call.node_id)
        if actor is None:
            gone = Answer(call.number, unreachable="the node is gone", unheard=not may_be_heard)
            self._answer(gone)
            return

        def told(answer: "Future[object]") -> None:
            error = answer.exception()
            if error is None:
                self._answer(Answer(call.number, answer.result()))
            elif is_passing(error):
                # Whether it was heard is not known; a node does nothing twice.
                later(_RETRY_SECONDS, lambda: self._make(call, may_be_heard=True))
            elif (cause := raised_by_node(error)) is not None:
                refusal = Refusal("EngineError", f"Node {call.node_id} failed: {cause!r}")
                self._answer(Answer(call.number, refusal))
            else:
                self._answer(Answer(call.number, unreachable=first_line(error)))

        self._answers.ask(getattr(actor, call.method).remote(*call.arguments), told)

    def _answer(self, answer: Answer) -> None:
        if answer.number:  # else nobody waits for it
            self._send(answer)

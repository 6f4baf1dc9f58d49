"""What nodes are asked by somebody who does not wait: each question once, until it is answered."""

import logging
import threading
from typing import Final

from attrs import define, frozen

from batchai_recipes.service.engines.engine import Notify, NotYetError, Owner
from batchai_recipes.service.engines.ray.answers import later
from batchai_recipes.service.engines.ray.driver_link import DriverLink
from batchai_recipes.service.engines.ray.messages import Answer, Refusal

_ASK_AGAIN_SECONDS: Final = 2.0

_logger = logging.getLogger(__name__)


@frozen
class Question:
    """What a node is asked.

    Args:
        node_id: The node.
        method: What it is to do.
        arguments: The method's arguments.
    """

    node_id: str
    method: str
    arguments: tuple[object, ...]


@define(eq=False)
class _Asked:
    answer: Answer | None = None


class Questions:
    """Keeps what nodes answered until the owner, on whose behalf they were asked, is forgotten.

    Args:
        link: Leads to the nodes.
        notify: Told of the owner for whom a question has been answered, or is to be asked again.
    """

    def __init__(self, link: DriverLink, notify: Notify) -> None:
        self._link = link
        self._notify = notify
        self._lock = threading.Lock()
        self._asked: dict[tuple[Owner, str], dict[Question, _Asked]] = {}

    def answer(self, owner: tuple[Owner, str], question: Question, **passing: object) -> object:
        """Return what a node answers, once it has been asked and has answered.

        Args:
            owner: On whose behalf, a job or a node.
            question: What it is asked.
            passing: Further arguments of the method, which do not make it another question.

        Raises:
            NotYetError: It has been asked and has not answered.
            MountError: It refuses for that reason; it is asked again by the next call.
            EngineError: It refuses.
        """
        with self._lock:
            of_owner = self._asked.setdefault(owner, {})
            asked = of_owner.get(question)
            is_new = asked is None
            if asked is None:
                asked = of_owner[question] = _Asked()
        if is_new:
            self._link.ask(
                question.node_id,
                question.method,
                *question.arguments,
                *passing.values(),
                answered=lambda answer: self._take_in(owner, question, asked, answer),
            )
        if asked.answer is None:
            raise NotYetError
        value = asked.answer.value
        if isinstance(value, Refusal):
            self._drop(owner, question, asked)
            raise value.error
        return value

    def forget(self, owner: tuple[Owner, str]) -> None:
        """Forget what was asked on somebody's behalf, and what is answered late.

        Args:
            owner: The job or the node.
        """
        with self._lock:
            self._asked.pop(owner, None)

    def _take_in(
        self, owner: tuple[Owner, str], question: Question, asked: _Asked, answer: Answer
    ) -> None:
        if not answer.unreachable:
            asked.answer = answer
            self._notify(*owner)
            return
        _logger.warning(
            "Node %s cannot be asked (%s); it is asked again", question.node_id, answer.unreachable
        )
        self._drop(owner, question, asked)
        later(_ASK_AGAIN_SECONDS, self._notify, *owner)

    def _drop(self, owner: tuple[Owner, str], question: Question, asked: _Asked) -> None:
        with self._lock:
            of_owner = self._asked.get(owner, {})
            if of_owner.get(question) is asked:
                del of_owner[question]

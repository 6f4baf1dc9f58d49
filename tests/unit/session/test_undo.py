"""Deleting what a session made."""

from batchai_recipes import BatchAIRecipesError
from batchai_recipes.session.undo import UndoStack, clean_up_error


def test_newest_first_and_a_failure_stops_nothing():
    """Every deletion is attempted once."""
    deleted = []
    undo = UndoStack(lambda _: None)

    def fail():
        raise RuntimeError("the service is gone")

    undo.push("group", lambda: deleted.append("group"))
    undo.push("cluster", fail)
    undo.push("job", lambda: deleted.append("job"))
    failures = undo.unwind()

    assert (deleted, [str(f) for f in failures]) == (["job", "group"], ["the service is gone"])


def test_unwinding_twice_deletes_once():
    """The stack is empty afterwards."""
    deleted = []
    undo = UndoStack(lambda _: None)
    undo.push("group", lambda: deleted.append("group"))
    undo.unwind()
    undo.unwind()

    assert deleted == ["group"]


def test_the_error_is_a_group_of_all_failures():
    """And one of the library's own."""
    failures = (ValueError("one"), OSError("two"))
    error = clean_up_error(failures)

    assert isinstance(error, BatchAIRecipesError)
    assert failures == error.exceptions
    assert "  one\n  two" in str(error)

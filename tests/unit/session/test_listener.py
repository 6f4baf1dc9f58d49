"""Who sees a warning."""

import logging

from batchai_recipes.session.listener import Listener, logger


def unheard(monkeypatch):
    """Let nobody have configured a log; said in the test, since pytest looks for such loggers."""
    monkeypatch.setattr(logging.getLogger("batchai_recipes"), "propagate", False)


def test_whom_a_program_names_is_told_and_the_log_too(monkeypatch, capsys):
    """Not the standard error: once is enough."""
    unheard(monkeypatch)
    said, logged = [], []
    monkeypatch.setattr(logger, "warning", lambda form, line: logged.append(form % line))
    Listener(said.append).warn("it burns; put it out")

    assert said == ["Warning: it burns; put it out"]
    assert logged == ["it burns; put it out"]
    assert capsys.readouterr().err == ""


def test_where_nobody_listens_it_is_on_the_standard_error(monkeypatch, capsys):
    """What happens otherwise is not."""
    unheard(monkeypatch)
    Listener().report("it goes on")
    Listener().warn("it burns; put it out")

    assert capsys.readouterr().err == "Warning: it burns; put it out\n"


def test_a_log_that_somebody_reads_is_enough(caplog, capsys):
    """Percent signs are as they are."""
    Listener().warn("it burns at 100 %s")

    assert caplog.messages == ["it burns at 100 %s"]
    assert capsys.readouterr().err == ""

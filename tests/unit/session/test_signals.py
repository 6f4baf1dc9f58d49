"""SIGTERM and Ctrl-C around a session."""

import signal
import threading

import pytest

from batchai_recipes.session.signals import TerminationSignals


@pytest.fixture
def signals():
    """Signals of a session that has started."""
    started = TerminationSignals(lambda _: None)
    started.start()
    yield started
    started.stop()


def test_sigterm_leaves_the_block_like_an_exception(signals):
    """With the status that a shell reports for SIGTERM."""
    with pytest.raises(SystemExit) as exit_info:
        signal.raise_signal(signal.SIGTERM)

    assert exit_info.value.code == 143


def test_the_default_is_back_afterwards(signals):
    """A session changes nothing for good."""
    signals.stop()

    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_programs_own_handler_is_kept():
    """It knows best."""
    arrived = []
    previous = signal.signal(signal.SIGTERM, lambda number, _: arrived.append(number))
    try:
        own = TerminationSignals(lambda _: None)
        own.start()
        signal.raise_signal(signal.SIGTERM)
        own.stop()
    finally:
        signal.signal(signal.SIGTERM, previous)

    assert arrived == [signal.SIGTERM]


@pytest.mark.parametrize(
    ("number", "expected"),
    [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)],
)
def test_a_signal_during_the_clean_up_waits_for_its_end(signals, number, expected):
    """The clean-up is whole, and the signal is not lost."""
    done = []
    with pytest.raises(expected), signals.held():
        signal.raise_signal(number)
        done.append("cleaned up")

    assert done == ["cleaned up"]


def test_a_signal_while_the_clean_up_tells_something_does_not_end_it():
    """Python's own output cannot be entered twice, and a signal may interrupt it."""
    told, done = [], []

    def report(line):
        if told and told[-1] is None:
            raise RuntimeError("reentrant call inside <_io.BufferedWriter name='<stdout>'>")
        told.append(None)
        if line == "Deleting":
            signal.raise_signal(signal.SIGINT)
        told[-1] = line

    with pytest.raises(KeyboardInterrupt), TerminationSignals(report).held():
        report("Deleting")
        done.append("cleaned up")

    assert (told, done) == (["Deleting"], ["cleaned up"])


@pytest.fixture
def in_the_midst(monkeypatch):
    """Raises Ctrl-C's exception once, while the handlers are changed for the n-th time."""
    install = signal.signal

    def interrupt_at(count):
        calls = iter(range(1, 100))

        def changed(number, handler):
            previous = install(number, handler)
            if next(calls) == count:
                raise KeyboardInterrupt
            return previous

        monkeypatch.setattr(signal, "signal", changed)

    return interrupt_at


@pytest.mark.parametrize("change", [1, 2, 3, 4])
def test_a_signal_in_the_midst_of_a_change_leaves_none_held(in_the_midst, change):
    """Neither at the beginning of a clean-up nor at its end; the next one is whole as well."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    own = TerminationSignals(lambda _: None)
    in_the_midst(change)
    with pytest.raises(KeyboardInterrupt), own.held():
        pass

    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    done = []
    with pytest.raises(KeyboardInterrupt), own.held():
        signal.raise_signal(signal.SIGINT)
        done.append("cleaned up")
    assert done == ["cleaned up"]


def test_an_ignored_signal_stays_ignored():
    """As under nohup; nothing is said of it that is not true."""
    said = []
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with TerminationSignals(said.append).held():
            signal.raise_signal(signal.SIGINT)
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, previous)

    assert said == []


def test_other_threads_are_left_alone():
    """Python delivers signals to the main thread only."""
    outcome = []

    def use():
        other = TerminationSignals(lambda _: None)
        other.start()
        with other.held():
            outcome.append("ran")
        other.stop()

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()

    assert (outcome, signal.getsignal(signal.SIGTERM)) == (["ran"], signal.SIG_DFL)


def test_sessions_beside_each_other_share_the_handler(signals):
    """Whichever ends first; the last one gives the default back."""
    other = TerminationSignals(lambda _: None)
    other.start()
    signals.stop()
    with pytest.raises(SystemExit):
        signal.raise_signal(signal.SIGTERM)
    other.stop()

    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL

"""The journal of a session, and finding those whose session is gone."""

import stat
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchai_recipes import ConfigurationError
from batchai_recipes.session.journal import Journal, JournalOwner, abandoned
from batchai_recipes.session.made import Made

OWNER = JournalOwner("session", "https://batchai.test", None, 1)
GROUP = Made("resource group", ("g",))
CLUSTER = Made("cluster", ("g", "w", "c"))


def left(folder):
    """Return what each abandoned journal names."""
    found = abandoned(folder)
    for journal in found:
        journal.close()
    return [journal.made for journal in found]


def test_a_live_sessions_journal_is_nobody_elses(tmp_path):
    """It is locked as long as the session lives."""
    journal = Journal.begin(tmp_path, OWNER)
    journal.about_to_make(GROUP)

    assert left(tmp_path) == []
    journal.close()
    assert left(tmp_path) == [(GROUP,)]


def test_a_journal_of_which_all_is_gone_is_deleted(tmp_path):
    """Also when something was named twice."""
    journal = Journal.begin(tmp_path, OWNER)
    journal.about_to_make(GROUP)
    journal.gone(GROUP)
    journal.gone(GROUP)
    journal.close()

    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_leaves_its_journal(tmp_path):
    """With everything that was acknowledged before."""
    program = f"""
import os, signal
from pathlib import Path
from batchai_recipes.session.journal import Journal, JournalOwner
from batchai_recipes.session.made import Made
journal = Journal.begin(Path({str(tmp_path)!r}), JournalOwner("s", "e", None, os.getpid()))
journal.about_to_make(Made("resource group", ("g",)))
journal.about_to_make(Made("cluster", ("g", "w", "c")))
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", program], check=False)

    assert left(tmp_path) == [(CLUSTER, GROUP)]


@given(cut=st.integers(min_value=0, max_value=400))
def test_a_line_that_was_cut_was_not_acknowledged(tmp_path_factory, cut):
    """Whatever remains is read; nothing is invented."""
    folder = tmp_path_factory.mktemp("sessions")
    journal = Journal.begin(folder, OWNER)
    journal.about_to_make(GROUP)
    journal.about_to_make(CLUSTER)
    journal.close()
    (path,) = folder.iterdir()
    content = path.read_bytes()
    path.write_bytes(content[:cut])
    whole_lines = content[:cut].count(b"\n")

    expected = [[], [()], [(GROUP,)], [(CLUSTER, GROUP)]][whole_lines]
    assert left(folder) == expected


def test_two_processes_do_not_take_up_the_same_one(tmp_path):
    """The first has it locked."""
    journal = Journal.begin(tmp_path, OWNER)
    journal.about_to_make(GROUP)
    journal.close()
    (first,) = abandoned(tmp_path)

    assert abandoned(tmp_path) == []
    first.close()


def test_other_files_are_left_alone(tmp_path):
    """They may be anybody's."""
    (tmp_path / "notes.jsonl").write_text("[]\n")
    (tmp_path / "empty.jsonl").write_text("")

    assert left(tmp_path) == []
    assert len(list(tmp_path.iterdir())) == 2


def test_a_journal_is_its_owners_alone(tmp_path):
    """It holds no secret, but says what runs where."""
    journal = Journal.begin(tmp_path / "sessions", OWNER)
    (path,) = (tmp_path / "sessions").iterdir()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    journal.close()


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    """Before anything is made."""
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigurationError, match="BATCHAI_RECIPES_STATE_DIR"):
        Journal.begin(tmp_path / "file" / "sessions", OWNER)

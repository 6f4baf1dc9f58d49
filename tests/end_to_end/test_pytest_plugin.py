"""The pytest plugin, in a project of its own as a user has one."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ISOLATION = '''
import os
import subprocess
import sys

import pytest

from batchai_recipes import Connection


@pytest.fixture(scope="session")
def shared(batchai_service):
    """What a fixture of a wider scope makes."""
    with batchai_service.connect() as connection:
        connection.resources.resource_groups.create_or_update("shared", {"location": "eastus"})
        yield "shared"


def names(connection):
    groups = {group.name for group in connection.resources.resource_groups.list()}
    return groups, {share.name for share in connection.files.list_shares()}


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_starts_with_nothing(batchai_connection, shared, turn):
    assert names(batchai_connection) == ({"shared"}, set())
    batchai_connection.resources.resource_groups.create_or_update("mine", {"location": "eastus"})
    batchai_connection.files.create_share("forgotten")


def test_a_connection_by_default_is_to_the_same_service(batchai_connection, batchai_service):
    with Connection.default() as connection:
        assert connection.settings.endpoint == batchai_service.settings.endpoint
    program = (
        "from batchai_recipes import Connection\\n"
        "with Connection.default() as connection:\\n"
        "    print(connection.settings.endpoint)\\n"
    )
    printed = subprocess.check_output([sys.executable, "-c", program], text=True)
    assert printed.strip() == batchai_service.settings.endpoint


def test_shares_are_new(file_share, batchai_connection):
    assert file_share.files() == []
    assert names(batchai_connection) == ({"shared"}, {file_share.name})
    file_share.write("a/b/c.txt", "text")
    file_share.write("top.bin", b"")
    assert (file_share.files(), file_share.read("a/b/c.txt")) == (["a/b/c.txt", "top.bin"], b"text")


def test_a_failing_test_is_cleaned_up_after(batchai_connection):
    batchai_connection.resources.resource_groups.create_or_update("mine", {"location": "eastus"})
    assert os.environ["BATCHAI_RECIPES_STATE_DIR"] == "wrong"


def test_nothing_is_left_of_it(batchai_connection):
    assert names(batchai_connection) == ({"shared"}, set())
'''


def run_pytest(project: Path, environment: dict[str, str], *options: str):
    """Run pytest in a project of a user's."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", *options],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_the_fixtures_in_a_project_of_its_own(tmp_path, environment):
    """One service for all tests, and nothing of one for the next; docs/testing.md has more."""
    project, base = tmp_path / "project", tmp_path / "base"
    project.mkdir()
    (project / "test_isolation.py").write_text(ISOLATION)
    done = run_pytest(project, environment, f"--basetemp={base}")
    outcomes = dict(re.findall(r"::(\S+) (PASSED|FAILED|ERROR)", done.stdout))

    failed = {test for test, outcome in outcomes.items() if outcome != "PASSED"}
    assert failed == {"test_a_failing_test_is_cleaned_up_after"}, done.stdout
    assert len(outcomes) == 6
    # The service stopped with the run.
    assert not list(base.glob("batchai*/service.json"))


def test_the_plugin_imports_nothing_of_the_library(tmp_path, environment):
    """Everybody's pytest loads it, also for tests that have nothing to do with it."""
    (tmp_path / "test_unrelated.py").write_text(
        "import sys\n\n\n"
        "def test_unrelated(request):\n"
        "    assert request.config.pluginmanager.hasplugin('batchai_recipes')\n"
        "    loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "    assert not loaded & {'batchai_recipes', 'azure', 'requests', 'attrs', 'msrest'}\n"
    )
    # Plugins of others load what they like.
    others = ("-p", "no:hypothesispytest", "-p", "no:anyio")
    done = run_pytest(tmp_path, environment, *others)

    assert done.returncode == 0, done.stdout
    assert run_pytest(tmp_path, environment, "-p", "no:batchai_recipes").returncode == 1

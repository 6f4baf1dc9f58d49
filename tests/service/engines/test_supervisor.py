"""Parts of the supervisor that need no process of their own."""

import ast
import os
import sys
from pathlib import Path

from batchai_recipes.service.engines import supervisor


def test_it_imports_nothing_but_the_standard_library():
    """It runs isolated, where the package cannot be found."""
    tree = ast.parse(Path(supervisor.__file__).read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {
        name.split(".")[0]
        for node in imports
        for name in (
            [node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
        )
    }
    assert set() == names - set(sys.stdlib_module_names)


def test_a_process_is_told_from_a_later_one_with_its_id():
    """By when it began, and in which boot."""
    identity = supervisor.process_identity(os.getpid())
    again = supervisor.process_identity(os.getpid())
    assert os.getpid() == identity["pid"]
    assert identity["start_time"] > 0
    assert identity["boot_id"] == again["boot_id"]
    assert identity["start_time"] == again["start_time"]


def test_a_process_that_is_gone_has_no_fields():
    """No process has this id."""
    assert supervisor.stat_fields(2**30) is None


def test_records_are_replaced_whole(tmp_path):
    """No part of an earlier one and no temporary file stays."""
    for record in ({"a": "long" * 100}, {"b": 1}):
        supervisor.write_record(tmp_path / "r.json", record)
    assert (tmp_path / "r.json").read_text() == '{"b": 1}'
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]

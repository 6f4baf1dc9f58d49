"""Volumes that are mounted read-only, on every engine, for tasks with the service's own rights."""

import subprocess
from pathlib import Path

import pytest
from attrs import evolve

from batchai_recipes.service.engines.engine import Mount

PERMITTED = not subprocess.run(
    ["unshare", "-rm", "true"], capture_output=True, check=False
).returncode

pytestmark = pytest.mark.skipif(not PERMITTED, reason="this machine permits no mount namespaces")


@pytest.fixture
def data(tmp_path):
    """A folder with a file in it."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "file").write_text("kept")
    return folder


@pytest.fixture
def said(engine, new_task, end_of, output):
    """Run a command and return what it said."""

    def run(command):
        engine.launch(new_task(command))
        assert end_of(engine).exit_code == 0
        return (output / "stdout.txt").read_text()

    return run


def roots(engine):
    """Where volumes are mounted, of the job and of the node."""
    job = engine.job("uid", ("node",)).mount_root
    return {"job": Path(job), "node": Path(engine.node("node").mount_root)}


WRITE = "cat {0}/file; for at in {0} {1}; do touch $at/new || echo no; rm $at/file || echo no; done"


@pytest.mark.parametrize("of", ["job", "node"])
def test_what_is_mounted_read_only_cannot_be_written_to(engine, prepare, data, said, of):
    """Neither through the mount nor by its own path; the same folder stays writable for others."""
    mounts = (Mount("volume", data, read_only=True),)
    prepare(engine, *(mounts if of == "node" else ()))
    engine.prepare_job("uid", ("node",), mounts if of == "job" else ())
    assert said(WRITE.format(roots(engine)[of] / "volume", data)) == "kept" + "no\n" * 4
    assert [path.name for path in data.iterdir()] == ["file"]
    (data / "new").touch()


def test_other_volumes_stay_writable(engine, prepare, data, said, tmp_path):
    """Output goes there."""
    (tmp_path / "out").mkdir()
    mounts = (Mount("in", data, read_only=True), Mount("out", tmp_path / "out"))
    prepare(engine)
    engine.prepare_job("uid", ("node",), mounts)
    root = roots(engine)["job"]
    said(f"cp {root}/in/file {root}/out/copied")
    assert (tmp_path / "out" / "copied").read_text() == "kept"


def test_a_volume_within_a_read_only_one_stays_writable(engine, prepare, data, said):
    """As the output directory of a file server that is mounted for reading as a whole."""
    (data / "in" / "out").mkdir(parents=True)
    prepare(engine, Mount("out", data / "in" / "out"))
    engine.prepare_job("uid", ("node",), (Mount("all", data, read_only=True),))
    root = roots(engine)["node"]
    assert said(f"touch {root}/out/new {data}/in/new || echo no") == "no\n"
    assert sorted(path.name for path in data.rglob("*")) == ["file", "in", "new", "out"]
    assert (data / "in" / "out" / "new").exists()


def test_a_program_of_the_service_may_write(engine, prepare, data, new_task, end_of):
    """Somebody has to bring the data."""
    prepare(engine)
    engine.prepare_job("uid", ("node",), (Mount("volume", data, read_only=True),))
    engine.launch(evolve(new_task(f"touch {data}/new"), is_of_service=True))
    assert end_of(engine).exit_code == 0
    assert (data / "new").exists()


def test_what_was_read_only_in_an_earlier_service_stays_so(new_engine, engine, prepare, data, said):
    """Nodes are prepared once, and services come and go."""
    prepare(new_engine(), Mount("volume", data, read_only=True))
    engine.prepare_job("uid", ("node",), ())
    assert said(f"touch {data}/new || echo no") == "no\n"

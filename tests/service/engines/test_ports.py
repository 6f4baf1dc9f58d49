"""Ports at which processes meet."""

import socket

import pytest

from batchai_recipes.service.engines import ports
from batchai_recipes.service.engines.engine import EngineError
from batchai_recipes.service.engines.ports import JobPorts


def test_a_job_keeps_its_ports(tmp_path):
    """Also over a restart of the service."""
    chosen = JobPorts(tmp_path).choose("job", "node", 2)
    assert len(set(chosen)) == 2
    assert chosen == JobPorts(tmp_path).choose("job", "node", 2)


def test_jobs_and_nodes_have_different_ones(tmp_path, monkeypatch):
    """For all nodes share the machine: of three ports each gets one, and the fourth gets none."""
    monkeypatch.setattr(ports, "_is_free", lambda port: port < 10_003)
    known = JobPorts(tmp_path)
    chosen = [known.choose(job, node, 1) for job, node in (("a", "1"), ("a", "2"), ("b", "1"))]
    assert sorted(chosen) == [(10_000,), (10_001,), (10_002,)]
    with pytest.raises(EngineError, match="needs 1 free ports"):
        known.choose("c", "1", 1)


def test_a_port_that_somebody_listens_at_is_not_free(tmp_path):
    """Whoever it is."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not ports._is_free(server.getsockname()[1])


def test_no_port_is_one_that_the_kernel_gives_out_by_itself(tmp_path, monkeypatch):
    """Unless its range leaves too few."""
    monkeypatch.setattr(ports, "_first_of_kernel", lambda: 12_000)
    assert all(10_000 <= port < 12_000 for port in JobPorts(tmp_path).choose("job", "node", 50))
    monkeypatch.setattr(ports, "_first_of_kernel", lambda: 1024)
    assert len(JobPorts(tmp_path).choose("other", "node", 50)) == 50

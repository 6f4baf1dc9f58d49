"""How the scheduler gives clusters their nodes, over a simulated engine, step by step."""

import os
from pathlib import Path

import pytest

from batchai_recipes.service.engines.engine import EngineError
from batchai_recipes.service.engines.simulated import SimulatedEngine


class TestClusters:
    """Nodes come and go."""

    def test_a_new_cluster_gets_its_nodes(self, rows, scheduler, engine):
        """They become idle, the cluster steady, and the creation is over."""
        cluster = rows.add_cluster(nodes=2)
        created = rows.add_operation(cluster, "create")
        scheduler.settle()
        assert rows.node_states(cluster) == ["idle", "idle"]
        assert rows.cluster(cluster)["allocation_state"] == "steady"
        assert rows.operation_status(created) == "Succeeded"
        assert len(engine.prepared_nodes) == 2

    def test_the_share_is_mounted_on_each_node(
        self, rows, scheduler, engine, share_mount, share_folder
    ):
        """The engine is given the share's folder."""
        rows.add_cluster(**share_mount())
        scheduler.settle()
        ((mount,),) = engine.prepared_nodes.values()
        assert ("share", share_folder) == (mount.relative_path, mount.source)

    def test_scaling_down_gives_up_idle_nodes_first(self, rows, scheduler, engine):
        """The node that works stays."""
        cluster = rows.add_cluster(nodes=2)
        job = rows.add_job()
        scheduler.settle()
        rows.scale(cluster, 1)
        scheduler.settle()
        assert rows.node_states(cluster) == ["running"]
        assert rows.job(job)["execution_state"] == "running"
        assert list(engine.prepared_nodes) == rows.nodes_of(job)
        assert rows.cluster(cluster)["allocation_state"] == "steady"

    @pytest.mark.parametrize("option", ["requeue", "terminate", "waitforjobcompletion"])
    def test_scaling_down_with_a_running_job_does_as_the_option_says(
        self, rows, new_scheduler, hand_clock, option
    ):
        """Run again, fail, or go on to the end."""
        engine = SimulatedEngine(hand_clock, stubborn=True)
        scheduler = new_scheduler(engine)
        cluster = rows.add_cluster(option=option)
        job = rows.add_job()
        scheduler.settle()
        rows.scale(cluster, 0)
        scheduler.settle()
        assert rows.node_states(cluster) == ["leaving"]
        assert rows.cluster(cluster)["allocation_state"] == "resizing"
        asked = [] if option == "waitforjobcompletion" else [rows.task_of(job)]
        assert asked == engine.termination_requests
        engine.end(rows.task_of(job), 0 if option == "waitforjobcompletion" else 143)
        scheduler.settle()
        ended = rows.job(job)
        expected = {
            "requeue": ("queued", None, []),
            "terminate": ("failed", 143, ["JobTerminated"]),
            "waitforjobcompletion": ("succeeded", 0, []),
        }[option]
        codes = [error["code"] for error in ended["errors"]]
        assert expected == (ended["execution_state"], ended["exit_code"], codes)
        assert rows.node_states(cluster) == []
        assert rows.cluster(cluster)["allocation_state"] == "steady"

    def test_a_requeued_job_runs_again(self, rows, scheduler, engine):
        """On new nodes, from the beginning."""
        cluster = rows.add_cluster()
        job = rows.add_job()
        scheduler.settle()
        rows.scale(cluster, 0)
        scheduler.settle()
        rows.scale(cluster, 1)
        scheduler.settle()
        assert [rows.task_of(job)] == engine.running()
        assert len(engine.launched) == 2

    def test_an_unusable_node_is_counted_and_explained(self, rows, scheduler, share_mount):
        """The cluster is steady, its error names the node, and no job starts."""
        cluster = rows.add_cluster(**share_mount(key="d3Jvbmc="))
        job = rows.add_job()
        scheduler.settle()
        assert rows.node_states(cluster) == ["unusable"]
        seen = rows.cluster(cluster)
        (error,) = seen["errors"]
        node = rows.one("SELECT id FROM nodes")["id"]
        assert seen["allocation_state"] == "steady"
        assert error["code"] == "ShareMountFailed"
        assert "check credentials.accountKey" in error["message"]
        assert [{"name": "nodeId", "value": node}] == error["details"]
        assert rows.job(job)["execution_state"] == "queued"

    def test_scaling_down_and_up_replaces_unusable_nodes(self, rows, scheduler, engine):
        """What was in the way is tried again and the error is gone."""
        cluster = rows.add_cluster()
        engine.refuse_nodes(EngineError("the disk is full"))
        scheduler.settle()
        codes = [error["code"] for error in rows.cluster(cluster)["errors"]]
        assert codes == ["NodePreparationFailed"]
        engine.refuse_nodes(None)
        rows.scale(cluster, 0)
        scheduler.settle()
        rows.scale(cluster, 1)
        scheduler.settle()
        assert rows.node_states(cluster) == ["idle"]
        assert rows.cluster(cluster)["errors"] == []

    def test_a_setup_task_runs_before_the_node_is_idle(self, rows, scheduler, engine):
        """The node prepares until the task has succeeded."""
        task = {"commandLine": "install", "stdOutErrPathPrefix": "$AZ_BATCHAI_MOUNT_ROOT/share"}
        cluster = rows.add_cluster(
            setup={"setupTask": task}, secrets={"setupTask": {"environment": {"TOKEN": "s3cret"}}}
        )
        scheduler.settle()
        assert rows.node_states(cluster) == ["preparing"]
        (launched,) = engine.launched
        assert (launched.command_line, launched.environment["TOKEN"]) == ("install", "s3cret")
        engine.end(launched.key, 0)
        scheduler.settle()
        assert rows.node_states(cluster) == ["idle"]

    def test_a_failed_setup_task_makes_the_node_unusable(self, rows, scheduler, engine):
        """The error says with which exit code."""
        cluster = rows.add_cluster(setup={"setupTask": {"commandLine": "false"}})
        scheduler.settle()
        engine.end(engine.launched[0].key, 9)
        scheduler.settle()
        (error,) = rows.cluster(cluster)["errors"]
        assert error["code"] == "NodeSetupTaskFailed"
        assert "exit code 9" in error["message"]

    def test_not_even_a_part_of_a_secret_is_shown(self, rows, scheduler, engine):
        """Where the end of the standard error begins in the midst of one."""
        cluster = rows.add_cluster(
            setup={"setupTask": {"commandLine": "false"}},
            secrets={"setupTask": {"environment": {"TOKEN": "s3cret-token"}}},
        )
        scheduler.settle()
        (launched,) = engine.launched
        Path(launched.stderr).parent.mkdir(parents=True)
        Path(launched.stderr).write_text(f"{'-' * 5000}s3cret-token{'x' * 1994}")
        engine.end(launched.key, 9)
        scheduler.settle()
        (error,) = rows.cluster(cluster)["errors"]
        assert "x" * 1994 in str(error)
        assert "token" not in str(error)

    def test_a_setup_task_may_leave_a_fifo_as_its_standard_error(self, rows, scheduler, engine):
        """Nobody waits for somebody to write to it."""
        cluster = rows.add_cluster(setup={"setupTask": {"commandLine": "false"}})
        scheduler.settle()
        (launched,) = engine.launched
        Path(launched.stderr).parent.mkdir(parents=True)
        os.mkfifo(launched.stderr)
        engine.end(launched.key, 9)
        scheduler.settle()
        (error,) = rows.cluster(cluster)["errors"]
        assert error["code"] == "NodeSetupTaskFailed"

"""Pure decisions: which job starts where, and how a cluster gets to its size."""

from hypothesis import given
from hypothesis import strategies as st

from batchai_recipes.service.scheduling.placement import (
    ClusterNode,
    ClusterNodes,
    Placement,
    Resize,
    WaitingJob,
    place_jobs,
    resize_cluster,
)

CLUSTERS = st.dictionaries(
    st.sampled_from("ab"), st.tuples(st.integers(0, 5), st.integers(0, 3)), min_size=1
).map(
    lambda sizes: {
        key: ClusterNodes([f"{key}{i}" for i in range(idle)], idle + busy)
        for key, (idle, busy) in sizes.items()
    }
)
JOBS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(1, 6), st.sampled_from([-1, 0, 1])), max_size=12
).map(lambda jobs: [WaitingJob(f"j{i}", *job, i) for i, job in enumerate(jobs)])
NODES = st.lists(
    st.sampled_from(["preparing", "idle", "running", "leaving", "unusable"]), max_size=8
).map(lambda states: [ClusterNode(f"n{i}", s, s == "running") for i, s in enumerate(states)])


def line(jobs):
    """Return jobs in the order in which they may start."""
    return sorted(jobs, key=lambda job: (-job.priority, job.sequence))


class TestPlaceJobs:
    """Gang scheduling, priority first, then first come first served."""

    @given(JOBS, CLUSTERS)
    def test_a_job_gets_all_its_nodes_of_its_cluster_and_no_node_serves_two(self, jobs, clusters):
        """Placements are whole gangs of idle nodes, disjoint."""
        by_key = {job.key: job for job in jobs}
        placements = place_jobs(jobs, clusters)
        used = [node for placement in placements for node in placement.node_ids]
        assert len(set(used)) == len(used)
        for placement in placements:
            job = by_key[placement.job_key]
            assert job.node_count == len(placement.node_ids)
            assert set(placement.node_ids) <= set(clusters[job.cluster_key].idle)

    @given(JOBS, CLUSTERS)
    def test_nobody_overtakes_one_who_can_run_some_day(self, jobs, clusters):
        """Of those that fit their cluster, exactly the first in line start."""
        started = {placement.job_key for placement in place_jobs(jobs, clusters)}
        for key, cluster in clusters.items():
            fitting = [
                j for j in line(jobs) if j.cluster_key == key and j.node_count <= cluster.size
            ]
            flags = [job.key in started for job in fitting]
            assert sorted(flags, reverse=True) == flags

    @given(JOBS, CLUSTERS)
    def test_nodes_stay_idle_only_for_a_job_that_needs_more(self, jobs, clusters):
        """The first in line that did not start needs more nodes than are left."""
        placements = place_jobs(jobs, clusters)
        started = {placement.job_key for placement in placements}
        used = {node for placement in placements for node in placement.node_ids}
        for key, cluster in clusters.items():
            left = set(cluster.idle) - used
            waiting = [
                job
                for job in line(jobs)
                if job.cluster_key == key
                and job.node_count <= cluster.size
                and job.key not in started
            ]
            assert not waiting or waiting[0].node_count > len(left)

    @given(JOBS, CLUSTERS, st.randoms())
    def test_the_order_of_the_question_does_not_matter(self, jobs, clusters, random):
        """The answer depends on priority and arrival alone."""
        shuffled = list(jobs)
        random.shuffle(shuffled)
        assert place_jobs(jobs, clusters) == place_jobs(shuffled, clusters)

    def test_high_priority_goes_first(self):
        """A later job of higher priority takes the only node."""
        jobs = [WaitingJob("normal", "a", 1, 0, 1), WaitingJob("high", "a", 1, 1, 2)]
        expected = (Placement("high", ("n",)),)
        assert expected == place_jobs(jobs, {"a": ClusterNodes(["n"], 1)})

    def test_one_that_never_fits_keeps_nobody_waiting(self):
        """A job larger than its cluster stays queued while others run."""
        jobs = [WaitingJob("huge", "a", 9, 1, 1), WaitingJob("small", "a", 1, 0, 2)]
        expected = (Placement("small", ("n",)),)
        assert expected == place_jobs(jobs, {"a": ClusterNodes(["n"], 1)})


class TestResizeCluster:
    """Clusters approach their target."""

    @given(NODES, st.integers(0, 10))
    def test_the_target_is_met_by_those_who_stay(self, nodes, target):
        """Staying nodes plus new ones are exactly as many as wanted."""
        resize = resize_cluster(nodes, target)
        staying = {n.id for n in nodes if n.state != "leaving"} - set(resize.leave)
        assert target == len(staying) + resize.add

    @given(NODES, st.integers(0, 10))
    def test_no_node_that_serves_a_job_goes_while_another_could(self, nodes, target):
        """Busy nodes are given up last."""
        resize = resize_cluster(nodes, target)
        busy = {node.id for node in nodes if node.busy}
        useless = {node.id for node in nodes if not node.busy and node.state != "leaving"}
        assert not busy & set(resize.leave) or useless <= set(resize.leave)

    def test_unusable_nodes_go_first(self):
        """An idle node is worth more than an unusable one."""
        nodes = [ClusterNode("idle", "idle", False), ClusterNode("broken", "unusable", False)]
        assert Resize(0, ("broken",)) == resize_cluster(nodes, 1)

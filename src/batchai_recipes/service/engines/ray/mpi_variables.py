"""The variables with which ``mpirun`` reaches the other machines of a job."""

from collections.abc import Mapping, Sequence

from batchai_recipes.service.engines.ray.peers import Peer, at


def mpi_variables(peers: Sequence[Peer], address: str, agent: str) -> Mapping[str, str]:
    """Return variables of Open MPI, MPICH and Intel MPI.

    Args:
        peers: The nodes of the job.
        address: The address of the machine on which ``mpirun`` may be started.
        agent: The command that takes the place of a remote shell.

    Example:
        >>> peers = [Peer("one", "10.0.0.4", "eth0"), Peer("two", "10.0.0.5", "eth0")]
        >>> variables = mpi_variables(peers, "10.0.0.5", "/agent")
        >>> variables["OMPI_MCA_plm_rsh_agent"], variables["HYDRA_IFACE"]
        ('/agent', 'eth0')
    """
    interface = next((peer.interface for peer in at(address, peers)), "")
    networks = [peer.network for peer in peers]
    # Interfaces may have other names on other machines; so their networks.
    reached = ",".join(dict.fromkeys(networks)) if all(networks) else ""
    included = {f"OMPI_MCA_{each}_tcp_if_include": reached for each in ("oob", "btl") if reached}
    return {
        **included,
        "OMPI_MCA_plm_rsh_agent": agent,
        # Each machine is reached from here, and the daemon stays what was started there.
        "OMPI_MCA_plm_rsh_no_tree_spawn": "1",
        "OMPI_MCA_orte_leave_session_attached": "1",
        "HYDRA_LAUNCHER": "rsh",
        "HYDRA_LAUNCHER_EXEC": agent,
        "HYDRA_IFACE": interface,
        "I_MPI_HYDRA_BOOTSTRAP": "rsh",
        "I_MPI_HYDRA_BOOTSTRAP_EXEC": agent,
        "I_MPI_HYDRA_IFACE": interface,
    }

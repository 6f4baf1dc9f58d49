"""Which GPUs there are, and which of them each node has."""

import ctypes
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from attrs import frozen

from batchai_recipes.service.engines.engine import EngineError
from batchai_recipes.service.state_directory import write_private

DEVICES: Final = "CUDA_VISIBLE_DEVICES"
# CUDA's own order puts the fastest first; the indices given out here are the driver's.
ORDER: Final = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
_FILE: Final = "gpus.json"
_LIBRARY: Final = "libnvidia-ml.so.1"


class GpuDriver(Protocol):
    """What knows the GPUs of this machine."""

    def uuids(self) -> Sequence[str]:
        """Return the UUID of each GPU, in the order of the PCI bus; none without a driver."""
        ...


class Nvml:
    """NVIDIA's management library, which comes with the driver."""

    def uuids(self) -> Sequence[str]:
        """Return the UUID of each GPU, in the order of the PCI bus; none without a driver."""
        try:
            ctypes.CDLL(_LIBRARY)
        except OSError:
            return ()
        import pynvml  # noqa: PLC0415  # machines without GPUs need not load it

        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError:
            return ()
        try:
            handles = map(pynvml.nvmlDeviceGetHandleByIndex, range(pynvml.nvmlDeviceGetCount()))
            return [_text(pynvml.nvmlDeviceGetUUID(handle)) for handle in handles]
        except pynvml.NVMLError:
            return ()
        finally:
            pynvml.nvmlShutdown()


def visible_gpus(driver: GpuDriver, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Name the GPUs that CUDA shows to a process.

    Args:
        driver: Knows the machine's GPUs.
        environment: The variables that the process starts with; ``CUDA_VISIBLE_DEVICES`` limits it.

    Returns:
        What to write into a ``CUDA_VISIBLE_DEVICES`` for each: its index, or what was given.
    """
    uuids = driver.uuids()
    chosen = environment.get(DEVICES)
    if chosen is None:
        return tuple(str(index) for index in range(len(uuids)))
    return tuple(_valid(chosen.split(","), uuids))


def _valid(devices: Sequence[str], uuids: Sequence[str]) -> list[str]:
    """Return the devices up to the first invalid one, which is where CUDA stops.

    Example:
        >>> known = ["GPU-8932f937-d72c", "GPU-1111f937-d72c"]
        >>> [_valid(text.split(","), known) for text in ("", "1", "0,1", "-1", "1,-1,0", "0,7")]
        [[], ['1'], ['0', '1'], [], ['1'], ['0']]
        >>> _valid(["GPU-8932", "MIG-1", "GPU-0000"], known)
        ['GPU-8932', 'MIG-1']
    """
    found = []
    for device in devices:
        name = device.strip()
        by_index = name.isdigit() and int(name) < len(uuids)
        by_uuid = name.startswith("GPU-") and any(uuid.startswith(name) for uuid in uuids)
        if not (by_index or by_uuid or (name.startswith("MIG-") and uuids)):
            break
        found.append(name)
    return found


@frozen
class NodeShare:
    """The GPUs of a node.

    Args:
        wanted: How many its VM size has.
        devices: Those that it got.
    """

    wanted: int = 0
    devices: tuple[str, ...] = ()


class NodeGpus:
    """Gives each node GPUs of its own, as far as there are any.

    Args:
        nodes: The folder of the nodes' folders, which hold what each one has.
        present: The GPUs that there are.
        are_own: Whether they were given to these nodes alone, so that what other nodes in the
            folder have is of no account.
    """

    def __init__(self, nodes: Path, present: Sequence[str], *, are_own: bool = False) -> None:
        self._nodes = nodes
        self._present = present
        self._are_own = are_own
        self._known: dict[str, NodeShare] = {}

    def give(self, node_id: str, wanted: int) -> None:
        """Give a node its GPUs, unless it has them; fewer than wanted where there are no more.

        Args:
            node_id: The node; its folder is there.
            wanted: How many its VM size has.

        Raises:
            EngineError: That cannot be written down.
        """
        if self.of(node_id).wanted == wanted:
            return
        taken = {
            device
            for place in self._nodes.glob(f"*/{_FILE}")
            if place.parent.name != node_id
            and (place.parent.name in self._known or not self._are_own)
            for device in _read(place).devices
        }
        free = [device for device in self._present if device not in taken]
        share = NodeShare(wanted, tuple(free[:wanted]))
        try:
            record = json.dumps({"wanted": wanted, "devices": share.devices})
            write_private(self._nodes / node_id / _FILE, record)
        except OSError as error:
            raise EngineError(f"The GPUs of a node cannot be written down: {error}") from error
        self._known[node_id] = share

    def of(self, node_id: str) -> NodeShare:
        """Return the GPUs of a node.

        Args:
            node_id: The node.
        """
        share = self._known.get(node_id)
        if share is None:
            share = self._known[node_id] = _read(self._nodes / node_id / _FILE)
        return share

    def forget(self, node_id: str) -> None:
        """Take back the GPUs of a node whose folder has gone.

        Args:
            node_id: The node.
        """
        self._known.pop(node_id, None)

    def variables(self, node_id: str) -> dict[str, str]:
        """Return what shows a node's processes its GPUs and no others.

        Args:
            node_id: The node.
        """
        if not self._present:
            return {}
        return {**ORDER, DEVICES: ",".join(self.of(node_id).devices)}

    def shortage(self, node_id: str) -> tuple[str, ...]:
        """Say, in lines for a log, what a node lacks.

        Args:
            node_id: The node.
        """
        share = self.of(node_id)
        if len(share.devices) >= share.wanted:
            return ()
        line = (
            f"node {node_id} has {len(share.devices)} of the {share.wanted} GPUs of its VM size: "
            f"this machine shows {len(self._present)}, of which no two nodes have the same"
        )
        return (line,)


def _read(place: Path) -> NodeShare:
    try:
        record = json.loads(place.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return NodeShare()
    return NodeShare(record["wanted"], tuple(record["devices"]))


def _text(uuid: str | bytes) -> str:
    return uuid.decode() if isinstance(uuid, bytes) else uuid  # bytes until release 11.5

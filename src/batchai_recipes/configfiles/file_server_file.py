"""``file_server.json``: a file server as a file."""

import os
from collections.abc import Mapping
from typing import cast

from attrs import evolve

from batchai_recipes.builders.data_disks import CachingType, StorageAccountType
from batchai_recipes.builders.file_server import FileServerBuilder
from batchai_recipes.configfiles.admin_account import admin_account
from batchai_recipes.configfiles.cluster_file import write_hidden
from batchai_recipes.configfiles.document import read_document
from batchai_recipes.configfiles.section import Section


def read_file_server(
    path: str | os.PathLike[str], *, name: str | None, variables: Mapping[str, str] | None
) -> FileServerBuilder:
    """Read a file server from a file; see :meth:`FileServerBuilder.from_file`."""
    own_name, file = read_document(path, "FileServerCreateParameters", None, variables)
    with file.at():
        server = FileServerBuilder(name or own_name)
    size = file.text("vmSize")
    if size is not None:
        with file.at("vmSize"):
            server = server.vm_size(size)
    server = _with_disks(server, file.section("dataDisks"))
    server = _with_ssh(server, file.section("sshConfiguration"))
    subnet = file.section("subnet")
    if subnet:
        with subnet.at("id"):
            server = server.subnet(subnet.required("id"))
    return server


def write_file_server(server: FileServerBuilder, path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Write a file server to a file; see :meth:`FileServerBuilder.to_file`."""
    return write_hidden(path, "file_server", server.build())


def _with_disks(server: FileServerBuilder, disks: Section | None) -> FileServerBuilder:
    if disks is None:
        return server
    caching = disks.text("cachingType")
    with disks.at():
        return server.data_disks(
            cast("int", disks.count("diskCount")),
            size_gb=cast("int", disks.count("diskSizeInGB")),
            storage_account_type=cast("StorageAccountType", disks.required("storageAccountType")),
            caching_type=cast("CachingType", caching.lower()) if caching else None,
        )


def _with_ssh(server: FileServerBuilder, ssh: Section | None) -> FileServerBuilder:
    if ssh is None:
        return server
    addresses = ssh.texts("publicIPsToAllow")
    if addresses:
        with ssh.at("publicIPsToAllow"):
            server = server.allow_public_ips(*addresses)
    return evolve(server, admin=admin_account(ssh.section("userAccountSettings")))

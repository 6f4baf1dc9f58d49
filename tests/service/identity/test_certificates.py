"""The private authority and the key of the tokens."""

import ssl
import stat
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography import x509

from batchai_recipes.service.identity.certificates import (
    Certificates,
    ensure_authority,
    ensure_signing_key,
)


def _shake_hands(files: Certificates, name: str) -> None:
    """Let a strict client meet the server, in memory."""
    client_context = ssl.create_default_context(cafile=str(files.ca_file))
    client_context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(files.server_cert_file, files.server_key_file)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname=name)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    waiting = [client, server]
    while waiting:
        side = waiting.pop(0)
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            waiting.append(side)


@pytest.mark.parametrize("name", ["127.0.0.1", "::1", "localhost"])
def test_strict_clients_trust_the_server(tmp_path: Path, name: str) -> None:
    """OpenSSL's strict checks pass for each name of this machine."""
    _shake_hands(ensure_authority(tmp_path), name)


@pytest.mark.parametrize("name", ["trainer.example", "192.0.2.7"])
def test_a_host_of_this_machine_can_be_added(tmp_path: Path, name: str) -> None:
    """For a service that others reach; the names of this machine stay."""
    ensure_authority(tmp_path)
    files = ensure_authority(tmp_path, host=name)
    _shake_hands(files, name)
    _shake_hands(files, "localhost")


def test_other_names_are_not_trusted(tmp_path: Path) -> None:
    """The certificate is for this machine only."""
    with pytest.raises(ssl.SSLCertVerificationError):
        _shake_hands(ensure_authority(tmp_path), "example.com")


def test_files_are_private_and_reused(tmp_path: Path) -> None:
    """A second call returns the same certificates, and only the owner can read them."""
    folder = tmp_path / "certificates"
    first = ensure_authority(folder)
    contents = [first.ca_file.read_bytes(), first.server_key_file.read_bytes()]
    second = ensure_authority(folder)
    assert first == second
    assert contents == [second.ca_file.read_bytes(), second.server_key_file.read_bytes()]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(first.server_key_file.stat().st_mode) == 0o600


def test_no_key_can_sign_another_certificate(tmp_path: Path) -> None:
    """The authority's key is thrown away; the server's may sign nothing."""
    files = ensure_authority(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "ca.pem",
        "server-key.pem",
        "server.pem",
    ]
    server = x509.load_pem_x509_certificate(files.server_cert_file.read_bytes())
    constraints = server.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert not constraints.value.ca


class _At:
    def __init__(self, **later: float) -> None:
        self._time = datetime.now(timezone.utc) + timedelta(**later)

    def now(self) -> datetime:
        return self._time


def test_certificates_are_renewed_before_they_end(tmp_path: Path) -> None:
    """With a month left they are made anew; a clock that was set back makes them anew too."""
    before = ensure_authority(tmp_path).ca_file.read_bytes()
    assert ensure_authority(tmp_path, _At(days=700)).ca_file.read_bytes() == before
    renewed = ensure_authority(tmp_path, _At(days=800)).ca_file.read_bytes()
    assert renewed != before
    _shake_hands(ensure_authority(tmp_path, _At(days=0)), "localhost")
    assert ensure_authority(tmp_path).ca_file.read_bytes() != renewed


@pytest.mark.parametrize("name", ["ca.pem", "server.pem", "server-key.pem"])
@pytest.mark.parametrize("damage", ["missing", "rubbish", "foreign"])
def test_damaged_files_are_made_anew(tmp_path: Path, name: str, damage: str) -> None:
    """A power cut between two files leaves no service that cannot start."""
    files = ensure_authority(tmp_path / "own")
    path = tmp_path / "own" / name
    if damage == "missing":
        path.unlink()
    elif damage == "rubbish":
        path.write_text("rubbish")
    else:
        ensure_authority(tmp_path / "foreign")
        path.write_bytes((tmp_path / "foreign" / name).read_bytes())
    assert ensure_authority(tmp_path / "own") == files
    _shake_hands(files, "localhost")


def test_the_signing_key_is_private_and_reused(tmp_path: Path) -> None:
    """Tokens stay valid over a restart of the service."""
    first = ensure_signing_key(tmp_path / "keys")
    assert ensure_signing_key(tmp_path / "keys") == first
    mode = (tmp_path / "keys" / "token-key.pem").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600

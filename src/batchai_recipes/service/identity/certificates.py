"""The private certificate authority of the https management plane, and the key of the tokens.

Azure's clients send bearer tokens over https only, so the service brings its own authority. The
authority's private key signs one server certificate and is thrown away: nothing on disk can vouch
for another host. Both certificates are made anew, together, before they end.
"""

import ipaddress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from attrs import frozen
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from batchai_recipes.service.clock import Clock, SystemClock
from batchai_recipes.service.state_directory import write_private

_LOCAL_NAMES: Final = ("localhost", "127.0.0.1", "::1", "*.file.localhost", "*.file.core.localhost")
_VALID_FOR: Final = timedelta(days=825)
_RENEWED_BEFORE: Final = timedelta(days=30)
_BACKDATED_BY: Final = timedelta(hours=1)
_RSA_BITS: Final = 2048
_RSA_EXPONENT: Final = 65537


@frozen
class Certificates:
    """The files that an https server and its clients need.

    Args:
        ca_file: The authority's certificate, for clients (PEM).
        server_cert_file: The server's certificate (PEM).
        server_key_file: The server's private key (PEM, mode 0600).
    """

    ca_file: Path
    server_cert_file: Path
    server_key_file: Path


def ensure_authority(
    folder: Path, clock: Clock | None = None, *, host: str = "localhost"
) -> Certificates:
    """Return certificates that are valid for a good while, making them where needed.

    The server's certificate is for 127.0.0.1, ::1, localhost, the names of storage accounts under
    localhost and the host, and stands OpenSSL's strict checks (``VERIFY_X509_STRICT``, the default
    from Python 3.13 on).

    Args:
        folder: Where they are kept; made, with mode 0700, when missing.
        clock: Tells when certificates end; the machine's clock by default.
        host: A name or address of this machine by which clients reach the server.

    Returns:
        The files.

    Raises:
        OSError: The folder is not writable.
    """
    now = (clock or SystemClock()).now()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = Certificates(
        ca_file=folder / "ca.pem",
        server_cert_file=folder / "server.pem",
        server_key_file=folder / "server-key.pem",
    )
    if not _usable(files, now, host):
        _make(files, now, host)
    return files


def ensure_signing_key(folder: Path) -> bytes:
    """Return the RSA key that signs tokens, making it where it is missing.

    Args:
        folder: Where it is kept, as ``token-key.pem`` with mode 0600.

    Returns:
        The private key in PEM.

    Raises:
        OSError: The folder is not writable.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / "token-key.pem"
    if not path.exists():
        key = rsa.generate_private_key(public_exponent=_RSA_EXPONENT, key_size=_RSA_BITS)
        write_private(path, _private_pem(key))
    return path.read_bytes()


def _usable(files: Certificates, now: datetime, host: str) -> bool:
    """Tell whether the files are there, belong together, are for the host and last."""
    try:
        authority = x509.load_pem_x509_certificate(files.ca_file.read_bytes())
        server = x509.load_pem_x509_certificate(files.server_cert_file.read_bytes())
        key = load_pem_private_key(files.server_key_file.read_bytes(), password=None)
        server.verify_directly_issued_by(authority)
    except (OSError, ValueError, TypeError, InvalidSignature):
        # Missing, damaged, or half replaced when the power went: made anew.
        return False
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    certified = server.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return (
        public == certified
        and _required_names(host) <= set(_names(server))
        and server.not_valid_before_utc <= now
        and now + _RENEWED_BEFORE < server.not_valid_after_utc
    )


def _names(server: x509.Certificate) -> x509.SubjectAlternativeName:
    return server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def _required_names(host: str) -> set[x509.GeneralName]:
    return {_general_name(name) for name in (*_LOCAL_NAMES, host)}


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _make(files: Certificates, now: datetime, host: str) -> None:
    authority_key = ec.generate_private_key(ec.SECP256R1())
    server_key = ec.generate_private_key(ec.SECP256R1())
    authority = _authority_certificate(authority_key, now)
    server = _server_certificate(authority, authority_key, server_key.public_key(), now, host)
    write_private(files.server_key_file, _private_pem(server_key))
    write_private(files.server_cert_file, server.public_bytes(Encoding.PEM).decode("ascii"))
    write_private(files.ca_file, authority.public_bytes(Encoding.PEM).decode("ascii"))


def _authority_certificate(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    subject_key = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    name = x509.Name(
        [
            # The digest keeps apart the authorities of several state directories.
            x509.NameAttribute(
                NameOID.COMMON_NAME, f"batchai-recipes authority {subject_key.digest.hex()[:16]}"
            )
        ]
    )
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED_BY)
        .not_valid_after(now + _VALID_FOR)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(subject_key, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(subject_key),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )


def _server_certificate(
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    public_key: ec.EllipticCurvePublicKey,
    now: datetime,
    host: str,
) -> x509.Certificate:
    issuer_key = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    names = sorted(_required_names(host), key=str)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]))
        .issuer_name(authority.subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED_BY)
        .not_valid_after(now + _VALID_FOR)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_key),
            critical=False,
        )
        .sign(authority_key, hashes.SHA256())
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _private_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem.decode("ascii")

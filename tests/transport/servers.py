"""A server on loopback that says what it is told, byte by byte, with TLS or without."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


class RawServer:
    """Takes requests and answers each with what `replies` yields: bytes, or None to wait.

    `requests` are the heads and bodies as they came, `connections` how many were opened.
    """

    def __init__(
        self, replies: Callable[[int], Iterable[bytes]], tls: ssl.SSLContext | None = None
    ) -> None:
        self._replies = replies
        self._tls = tls
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.port}"
        self.requests: list[bytes] = []
        self.connections = 0
        self.connected, self.heard = threading.Event(), threading.Event()
        self.left, self.closing = threading.Event(), threading.Event()
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for each in self._threads:
            each.join()

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            self.connected.set()
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                stream = connection if self._tls is None else self._wrapped(connection)
                with stream:
                    stream.settimeout(0.05)
                    while self._takes(stream):
                        for each in self._replies(len(self.requests)):
                            stream.sendall(each)
        except OSError:
            return

    def _wrapped(self, connection: socket.socket) -> socket.socket:
        connection.settimeout(5)
        return self._tls.wrap_socket(connection, server_side=True)

    def _takes(self, stream: socket.socket) -> bool:
        came = b""
        while not self.closing.is_set():
            try:
                chunk = stream.recv(65536)
            except TimeoutError:
                continue
            if not chunk:
                self.left.set()
                return False
            came += chunk
            head, end, body = came.partition(b"\r\n\r\n")
            length = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
            if end and len(body) >= int(length or 0):
                self.requests.append(came)
                self.heard.set()
                return True
        return False


def certificate(folder: Path, address: str = "127.0.0.1") -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The contexts of a server and of a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "operator.example")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path, secret = folder / "certificate.pem", folder / "key.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path, secret)
    return server, ssl.create_default_context(cafile=str(path))

"""What an application's protocol sees of a TLS connection under asyncio: :class:`TlsTransport`."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol, cast


class Lower(Protocol):
    """What a :class:`TlsTransport` asks for: the protocol on the raw transport."""

    application: asyncio.Protocol
    transport: asyncio.Transport
    closing: bool
    reading_paused: bool

    @property
    def unsent_size(self) -> int:
        """Bytes that were written and are not with the raw transport yet."""

    def write(self, data: bytes) -> None: ...

    def renegotiate(self) -> None: ...

    def close(self) -> None: ...

    def abort(self) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def extra_info(self, name: str, default: Any) -> Any: ...


class TlsTransport(asyncio.Transport):
    """The transport an application's protocol sees; its bytes travel as application data.

    ``get_extra_info`` knows, besides what the raw transport knows, ``tls_connection`` (the
    :class:`~tlsexit.connection.Connection`),
    ``tls_context``, ``tls_global_area`` and
    ``tls_application`` (the :class:`~tlsexit.drivers.application.ApplicationSession`).
    """

    def __init__(self, lower: Lower) -> None:
        super().__init__()
        self._lower = lower

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._lower.write(bytes(data))

    def renegotiate(self) -> None:
        """Begin a new handshake and go on meanwhile: what is written waits where it must (RFC 2246 §7.4.9).

        ``tls_context`` has its result once it is complete, with the handshake counter raised. Raises
        :class:`~tlsexit.alerts.LocalError` unless the profile allows it and the peer supports RFC 5746.
        """
        self._lower.renegotiate()

    def close(self) -> None:
        self._lower.close()

    def abort(self) -> None:
        self._lower.abort()

    def is_closing(self) -> bool:
        return self._lower.closing

    def can_write_eof(self) -> bool:
        # TLS 1.0 has no half-close: close_notify ends both directions (§7.2.1)
        return False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._lower.extra_info(name, default)

    def pause_reading(self) -> None:
        self._lower.pause_reading()

    def resume_reading(self) -> None:
        self._lower.resume_reading()

    def is_reading(self) -> bool:
        return not self._lower.reading_paused

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._lower.transport.set_write_buffer_limits(high, low)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._lower.transport.get_write_buffer_limits()

    def get_write_buffer_size(self) -> int:
        return self._lower.transport.get_write_buffer_size() + self._lower.unsent_size

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._lower.application = cast(asyncio.Protocol, protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._lower.application

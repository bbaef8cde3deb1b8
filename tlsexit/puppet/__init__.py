"""A TLS 1.0 endpoint that does as it is told: the misbehaving peer that fuzzing and conformance tests need.

::

    from tlsexit import Role
    from tlsexit.puppet import Puppet, SocketTransport, drop, honest_client

    puppet = Puppet(Role.CLIENT, SocketTransport(sock), (0x002F,)).play(drop(honest_client(), "finished"))
    puppet.settle()
"""

from tlsexit.puppet.credentials import Credential, Credentials, throwaway_credentials
from tlsexit.puppet.puppet import Puppet, Reaction, SeenRecord, Step, Trace, seeded
from tlsexit.puppet.traces import (
    alter,
    client_trace,
    drop,
    honest_client,
    insert,
    pieces_of,
    put,
    repeat,
    resumed_trace,
    seal,
    server_trace,
    split,
    swap,
    until,
)
from tlsexit.puppet.transport import ConnectionEngine, Engine, EngineTransport, SocketTransport, Transport
from tlsexit.puppet.writer import RecordWriter, Sealing, flip_first, longest_padding

__all__ = [
    "ConnectionEngine",
    "Credential",
    "Credentials",
    "Engine",
    "EngineTransport",
    "Puppet",
    "Reaction",
    "RecordWriter",
    "Sealing",
    "SeenRecord",
    "SocketTransport",
    "Step",
    "Trace",
    "Transport",
    "alter",
    "client_trace",
    "drop",
    "flip_first",
    "honest_client",
    "insert",
    "longest_padding",
    "pieces_of",
    "put",
    "repeat",
    "resumed_trace",
    "seal",
    "seeded",
    "server_trace",
    "split",
    "swap",
    "throwaway_credentials",
    "until",
]

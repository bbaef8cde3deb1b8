"""Monitors need a system that hands sockets to processes."""

from __future__ import annotations

import socket

collect_ignore_glob = [] if hasattr(socket, "send_fds") else ["test_*.py"]

"""The handshake protocol: messages, states, and the table that joins them (RFC 2246 §7)."""

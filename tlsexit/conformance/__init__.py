"""How far a TLS 1.0 client or server keeps RFC 2246 and the RFCs that extend it, requirement by requirement."""

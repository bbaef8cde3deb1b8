"""The cryptographic computations of TLS 1.0: PRF, key schedule, ciphers, signatures, groups (RFC 2246 §5, §6.3, §8)."""

"""The record protocol (RFC 2246 §6): framing, protection, and the record layer that joins them."""

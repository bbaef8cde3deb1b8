"""The rim: sockets, event loops, and the calling of user code."""

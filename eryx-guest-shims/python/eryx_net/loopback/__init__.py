"""Connections and datagrams between sockets of the same guest program, in its own memory."""

"""Host names: `getaddrinfo` and its relatives over the host's resolver."""

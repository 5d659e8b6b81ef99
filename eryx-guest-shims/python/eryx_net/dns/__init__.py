"""Host names: `getaddrinfo` and its relatives over Eryx's resolver."""

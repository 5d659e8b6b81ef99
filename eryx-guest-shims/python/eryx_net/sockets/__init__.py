"""Sockets: the objects behind descriptors, over the host's connections and in-guest ones."""

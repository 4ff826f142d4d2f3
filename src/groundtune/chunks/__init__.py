"""Document → ``Chunk``s, kept in a versioned index."""

"""Question + principal → ``Passage``s: search, fuse, cut; only what they may see."""

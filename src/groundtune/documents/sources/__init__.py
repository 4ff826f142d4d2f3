"""Places that documents come from: each lists its items, and hands out the bytes of those that are wanted."""

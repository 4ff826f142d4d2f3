"""Search over immutable files of rows: words, vectors and permissions of up to 131,072 chunks each, mapped into memory, not loaded."""

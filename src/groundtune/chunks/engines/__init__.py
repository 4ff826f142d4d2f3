"""Vector databases without versions of their own: one table of rows each, and versions as numbers in the rows."""

"""Files → ``Document``s: text, metadata and readers, with every problem reported at once."""

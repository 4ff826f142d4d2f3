"""Who may read what: one predicate, with reasons."""

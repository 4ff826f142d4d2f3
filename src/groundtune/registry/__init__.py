"""Model versions once they are trained: what is live, what was gained and lost, what may leave as a file."""

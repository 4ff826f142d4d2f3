"""One file a verb; a verb parses and prints, and does nothing else."""

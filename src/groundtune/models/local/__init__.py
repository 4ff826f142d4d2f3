"""Models run on this machine by torch. Nothing else under ``models`` imports torch or transformers."""

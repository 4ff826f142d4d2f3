"""Open detectors of unsupported sentences, behind one protocol."""

"""Conformance kits for plug-in authors."""

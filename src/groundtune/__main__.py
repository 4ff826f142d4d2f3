"""``python -m groundtune`` is ``groundtune``."""

from groundtune.cli.main import main

main()

"""Imports what takes seconds, then forks ``groundtune`` for every order that comes in: ``{"arguments": […], "stderr": path}``."""

import json
import os
import sys

import groundtune.models.local.chat
import groundtune.tuning.adapter
import groundtune.tuning.train
import peft  # noqa: F401  the longest of them

orders = os.fdopen(os.dup(0))
for line in iter(orders.readline, ""):
    order = json.loads(line)
    child = os.fork()
    if child == 0:
        os.dup2(os.open(order["stderr"], os.O_WRONLY), 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        from groundtune.cli.main import main

        main(order["arguments"])
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)

"""Copies file shares and blob containers of other endpoints to this machine and back.

A program of its own, ``python -m batchai_recipes.volume_sync FOLDER``, which the service starts as
a task: so the service needs no Azure package, never waits for a network, and a copy goes on when
the service dies. It imports nothing of the service or of the SDK half.
"""

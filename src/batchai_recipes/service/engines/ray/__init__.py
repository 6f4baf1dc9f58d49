"""The engine whose nodes are bundles of a Ray cluster, each with an actor that runs its tasks.

The service itself never loads Ray. It starts ``driver.py`` in a process of its own, which Ray may
end, as it does with every driver that has lost its cluster's head; the engine starts another.
"""

"""The processes that run tasks and outlive the service.

Standard library only, and nothing else of this package: they run isolated, have to start fast and
stay small. The service imports the modules that say how to read what they leave behind.
"""

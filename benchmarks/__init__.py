"""Measurements of orchestrator against its goals and its peers: `benchmarks/run`, or `python -m benchmarks`."""

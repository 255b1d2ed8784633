"""Benchmarks of isgd_optax: ``python -m benchmarks list``."""

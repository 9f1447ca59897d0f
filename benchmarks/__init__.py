"""What docs/performance.md reports, re-runnable: ``python -m benchmarks NAME --json``."""

"""Every figure of this project, measured: `python -m benchmarks NAME [--quick] [--json FILE]`."""

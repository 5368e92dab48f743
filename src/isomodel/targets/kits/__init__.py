"""Kits: conformance suites for pools, locks, queues, caches and context-local libraries."""

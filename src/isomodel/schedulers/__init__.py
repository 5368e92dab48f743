"""Schedulers: one way to resolve choices a file. Replay is one of them."""

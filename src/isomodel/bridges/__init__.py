"""Bridges to what people already use: Hypothesis, pytest, regression tests, readable reports."""

"""The reference factory layer: every layer of a multi-user agent platform, each made by a factory.

Small, correct, ordinary asyncio code. The same code runs in simulation (in-memory back ends)
and live. It is isomodel's first target; ``defects`` breaks it in known ways.
"""

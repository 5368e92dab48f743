"""What waits to run: callbacks, and arrivals from outside with their stable keys."""

from isomodel.engine.core import GoOn, Handle, Jump, Latency, Pending, Post, TaskStep, Timer

__all__ = ["GoOn", "Handle", "Jump", "Latency", "Pending", "Post", "TaskStep", "Timer"]

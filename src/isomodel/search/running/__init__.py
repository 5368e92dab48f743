"""Running: one scenario under one schedule, from a target's start to what it leaves."""

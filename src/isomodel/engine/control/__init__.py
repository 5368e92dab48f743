"""Control: time, random numbers, addresses, and whatever else must not be left to chance."""

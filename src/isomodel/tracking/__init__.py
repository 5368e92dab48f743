"""Tracking: which step of which task read or wrote what, in unmodified Python code.

``rewrite`` turns the source of a module into one that tells of its accesses, ``swap`` puts the
rewritten code into the functions that exist and takes it back, ``hooks`` are what the rewritten
code calls, ``recorder`` keeps what they tell, ``containers`` knows which method of which built-in
reads or writes, ``scope`` which modules belong to the program.
"""

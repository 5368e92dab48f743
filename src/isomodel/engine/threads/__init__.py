"""Threads under control: every thread of the program is a greenlet, and one OS thread runs them.

``crew`` decides who runs next; ``locks`` and ``standins`` put what threads wait for and start with
under its control, in place, so that the program's own ``threading``, ``queue`` and
``concurrent.futures`` do the rest; ``points`` and ``instructions`` are the two granularities at
which a thread can be interrupted; ``watch`` notices one that never comes back.
"""

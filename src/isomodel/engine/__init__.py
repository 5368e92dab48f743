"""Running a program under control: one loop a fidelity, virtual time, owned randomness."""

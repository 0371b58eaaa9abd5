"""Twinning: one plan of work and faults, carried out by processes of this machine and by the simulator under its laws."""

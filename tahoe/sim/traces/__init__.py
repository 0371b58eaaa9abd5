"""Traces: what really happened to real machines, read from the formats in which it is published.

==================  ==========================================================================  ======================
module              reads                                                                       one line is
==================  ==========================================================================  ======================
``lanl``            failure records of Los Alamos National Laboratory (LA-UR-05-7318, CSV)      a failure and its end
``archive``         tables of the Failure Trace Archive (``event_trace.tab``)                   a span up or down
``availability``    the ``.avt`` files of the Repository of Availability Traces                 a node and its sessions
``drives``          Backblaze's daily drive statistics (CSV)                                    a drive on a day
``uptime``          what the client nodes of a grid of one's own have seen                      (binary)
==================  ==========================================================================  ======================

All become a ``History`` (or, for drives, lifetimes), to which ``tahoe.sim.fitting`` fits laws and from which weather is
made: as it was (``Replay``), or drawn anew for as many servers and years as one likes (``Resample``).
``python -m tahoe.sim.traces FILE`` prints a summary of any of them.
"""

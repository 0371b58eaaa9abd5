"""How two nodes talk: identity, handshake, sealed envelopes, tickets, retransmission and credit, without any I/O."""

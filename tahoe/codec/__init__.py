"""The byte formats, pure: bytes in, bytes out. No clock, file, socket or log; randomness is an argument."""

"""Feeding every decoder of the daemon with what nobody would send: `make fuzz`."""

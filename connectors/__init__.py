"""From the bytes of a feed to batches: transports, parsers, capture, replay and the simulator."""

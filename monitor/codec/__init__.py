"""The event codecs: bytes to validated events and back. Only this room knows the wire field names."""

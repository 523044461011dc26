"""HTTP/1.1 as bytes and values: parsing, framing, rewriting, writing. No socket, no clock."""

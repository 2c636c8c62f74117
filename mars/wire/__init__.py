"""Bytes on a wire: strict parsers and writers of everything that is sent or signed. Pure."""

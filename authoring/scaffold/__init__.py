"""`waypost new`: files of a new journey."""

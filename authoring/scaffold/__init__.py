"""`waypost new`: create the files of a new journey."""

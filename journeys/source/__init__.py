"""The source code of journeys, read for checks and graphs; and the table of the vocabulary."""

"""``waypost identity`` without a database: what it offers, and how it tells what is wrong."""

SET_BY_OTHERS = ("DATABASE_URL", "TEMPORAL_ADDRESS", "WAYPOST_LOCAL", "WAYPOST_DATA_DIR")

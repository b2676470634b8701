"""Settings that tests of the ``waypost`` command have to clear, since a machine may set them."""

SET_BY_OTHERS = ("DATABASE_URL", "TEMPORAL_ADDRESS", "WAYPOST_LOCAL", "WAYPOST_DATA_DIR")

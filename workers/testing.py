"""Former path of the test kit, now ``authoring.testing``. Importing it raises an error that says so."""

raise ModuleNotFoundError(
    "workers.testing has moved to authoring.testing: import Shopper, with_journeys and the others "
    "from there, "
    'and write pytest_plugins = ["authoring.testing.plugin"]',
    name=__name__,
)

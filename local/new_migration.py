"""Generate an Alembic migration from the difference between migrations and table definitions.

It runs on an embedded Postgres. Started by `make new-migration NAME="add a column"`.
"""

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from local.postgres import EmbeddedPostgres
from local.processes import StackError
from profiles.db.migrate import new_revision, upgrade_schema


async def new_migration(message: str) -> Path:
    """Generate the migration that is missing after all others; returns its file. Raises ``StackError``."""
    with tempfile.TemporaryDirectory(prefix="waypost-migration-") as folder:
        async with EmbeddedPostgres(Path(folder) / "postgres") as postgres:
            await upgrade_schema(postgres.database_url)
            return await new_revision(postgres.database_url, message)


def main() -> None:
    """Entry point: read the message from the command line and print the file's path."""
    message = " ".join(sys.argv[1:]).strip()
    if not message:
        sys.exit('a migration needs a name: make new-migration NAME="add the column locale"')
    try:
        file = asyncio.run(new_migration(message))
    except StackError as error:
        sys.exit(str(error))
    print(f"Wrote {os.path.relpath(file)}. Read it; Alembic sees no functions, data or renames.")


if __name__ == "__main__":
    main()

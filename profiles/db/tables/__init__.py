"""SQLModel declarations of the schema. Queries do not use them.

A test compares them with the migrations, and Alembic generates new migrations from them. Importing this
package registers all tables in ``SQLModel.metadata``.
"""

from profiles.db.tables import commerce, consents, messaging, profiles, runs

__all__ = ["commerce", "consents", "messaging", "profiles", "runs"]

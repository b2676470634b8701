"""The database schema as text, from the catalogs: what a migrated database consists of."""

from typing import Any

_QUERIES = {
    "extensions": "SELECT extname AS name FROM pg_extension ORDER BY 1",
    "types": """
SELECT t.typname AS name, array_agg(e.enumlabel::text ORDER BY e.enumsortorder) AS labels
FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid WHERE t.typnamespace = 'public'::regnamespace
GROUP BY t.typname ORDER BY 1""",
    "relations": """
SELECT c.relname AS name, CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' WHEN 'm' THEN
  'materialized view' WHEN 'S' THEN 'sequence' ELSE c.relkind::text END AS kind, c.reloptions AS options
FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind NOT IN ('i', 'I') ORDER BY 1""",
    "columns": """
SELECT c.relname || '.' || a.attname AS name, format_type(a.atttypid, a.atttypmod)
  || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END
  || CASE a.attidentity WHEN 'a' THEN ' ALWAYS AS IDENTITY' WHEN 'd' THEN ' AS IDENTITY' ELSE '' END
  || CASE WHEN a.attgenerated <> '' THEN ' GENERATED' ELSE '' END
  || COALESCE(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), '') AS definition
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v', 'm') AND a.attnum > 0
  AND NOT a.attisdropped ORDER BY c.relname, a.attnum""",
    # Of Postgres 18 on, NOT NULL is a constraint too; the columns above say it for every version.
    "constraints": """
SELECT conrelid::regclass || '.' || conname AS name, pg_get_constraintdef(oid) AS definition
FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND contype <> 'n' AND conrelid <> 0 ORDER BY 1""",
    "indexes": """
SELECT indexname AS name, indexdef AS definition FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1""",
    "triggers": """
SELECT tgrelid::regclass || '.' || tgname AS name, pg_get_triggerdef(oid) AS definition
FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1""",
    "views": "SELECT viewname AS name, definition FROM pg_views WHERE schemaname = 'public' ORDER BY 1",
    "functions": """
SELECT oid::regprocedure::text AS name, pg_get_functiondef(oid) AS definition
FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prokind = 'f' ORDER BY 1""",
    "comments": """
SELECT objoid::regclass::text || '.' || objsubid AS name, description AS definition FROM pg_description
WHERE classoid = 'pg_class'::regclass AND objoid IN
  (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace) ORDER BY 1""",
    "revision": "SELECT version_num AS name FROM alembic_version",
}


async def schema_as_text(connection: Any) -> str:
    """Every object of the schema ``public``, one section a kind, sorted."""
    lines: list[str] = []
    for kind, query in _QUERIES.items():
        lines.append(f"-- {kind}")
        for row in await connection.fetch(query):
            name, *more = row.values()
            told = " ".join(str(one) for one in more if one is not None)
            lines.append(f"{name} {told}".strip())
        lines.append("")
    return "\n".join(lines)

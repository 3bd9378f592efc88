"""The admin's rooms for databases and questions."""

from text2sql.admin import databases, generations

__all__ = ["databases", "generations"]

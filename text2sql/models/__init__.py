from text2sql.models.cache_entries import CacheEntry, CacheRemoval
from text2sql.models.databases import Catalog, Database, DatabaseAccess
from text2sql.models.generations import Attempt, Execution, Generation

__all__ = ["Attempt", "CacheEntry", "CacheRemoval", "Catalog", "Database", "DatabaseAccess", "Execution", "Generation"]

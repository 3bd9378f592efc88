from text2sql.models.cache_entries import CacheEntry, CacheRemoval
from text2sql.models.context import DraftRun, Glossary, SchemaNote
from text2sql.models.databases import Catalog, Database, DatabaseAccess
from text2sql.models.evaluation_plans import EvaluationPlan
from text2sql.models.evaluations import EvaluationItem, EvaluationRun
from text2sql.models.examples import Example, ExampleUse
from text2sql.models.flights import Flight
from text2sql.models.generations import Attempt, Execution, Generation
from text2sql.models.idempotency import IdempotencyKey
from text2sql.models.prefixes import PrefixCount
from text2sql.models.question_days import QuestionDay
from text2sql.models.retrieval import RetrievalIndex
from text2sql.models.saved_questions import SavedQuestion
from text2sql.models.warmth import PrefixWarmth

__all__ = [
    "Attempt",
    "CacheEntry",
    "CacheRemoval",
    "Catalog",
    "Database",
    "DatabaseAccess",
    "DraftRun",
    "EvaluationItem",
    "EvaluationPlan",
    "EvaluationRun",
    "Example",
    "ExampleUse",
    "Execution",
    "Flight",
    "Generation",
    "Glossary",
    "IdempotencyKey",
    "PrefixCount",
    "PrefixWarmth",
    "QuestionDay",
    "RetrievalIndex",
    "SavedQuestion",
    "SchemaNote",
]

"""Which tables a question is about, where a schema is too large to be shown whole."""

from text2sql.pipeline.retrieval.encoders import Encoder, EncoderMissing, sentence_encoder
from text2sql.pipeline.retrieval.examples import Example, examples_read
from text2sql.pipeline.retrieval.index import Index
from text2sql.pipeline.retrieval.likeness import NEAR, SAME, Likeness, likeness_words
from text2sql.pipeline.retrieval.packing import IndexUnreadable

__all__ = [
    "NEAR",
    "SAME",
    "Encoder",
    "EncoderMissing",
    "Example",
    "Index",
    "IndexUnreadable",
    "Likeness",
    "examples_read",
    "likeness_words",
    "sentence_encoder",
]

"""How often all the tables that a question needs are among the best ones: `python -m tests.quality.retrieval`.

Beaver's 463 tables of six warehouses are one catalog, asked all 209 questions. With examples: half of the questions, at
random, ten times, are approved examples; the other half is asked. No embeddings unless `--encoder` names a model.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence

from tests.quality.beaver import FOLDER, MISSING, Question, beaver_questions, beaver_schema, halves
from text2sql.pipeline.retrieval import Encoder, Index, sentence_encoder

TOPS = (5, 10, 15, 20, 30)
SPLITS = 10


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", metavar="MODEL", help="a sentence-transformers model, by name or folder")
    if not FOLDER.exists():
        sys.stdout.write(f"skipped: {MISSING}\n")
        return 0
    name = parser.parse_args().encoder
    encoder = sentence_encoder(name) if name else None
    lines = ["| all tables among the best (%) | " + " | ".join(map(str, TOPS)) + " |", "| --- |" + " --- |" * len(TOPS)]
    for approved in (0, 20, 52, 104):
        told = f"Beaver union, {approved or 'no'} approved examples"
        shares = shares_with(approved, encoder=encoder) if approved else shares_without(encoder=encoder)
        lines.append(f"| {told} | " + " | ".join(f"{share:.1f}" for share in shares) + " |")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def shares_without(*, encoder: Encoder | None = None) -> list[float]:
    """Percent of the questions whose tables are all among the best 5, 10, 15, 20, 30."""
    return _shares(Index.build(beaver_schema(), encoder=encoder), beaver_questions())


def shares_with(approved: int, *, encoder: Encoder | None = None) -> list[float]:
    """The same, with so many approved examples, as the mean of the splits."""
    splits = [
        _shares(Index.build(beaver_schema(), [each.example for each in remembered], encoder=encoder), asked)
        for remembered, asked in halves(beaver_questions(), splits=SPLITS, approved=approved)
    ]
    return [sum(shares) / SPLITS for shares in zip(*splits, strict=True)]


def _shares(index: Index, questions: Sequence[Question]) -> list[float]:
    ranked = [([name.lower() for name in index.rank(each.text, max(TOPS))], set(each.tables)) for each in questions]
    return [_percent(wanted.issubset(names[:top]) for names, wanted in ranked) for top in TOPS]


def _percent(found: Iterable[bool]) -> float:
    each = list(found)
    return 100 * sum(each) / len(each)


if __name__ == "__main__":
    sys.exit(main())

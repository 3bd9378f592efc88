"""What ranking costs: `python -m tests.benchmarks.retrieval`. One core, no embeddings, 1,000 approved examples."""

import argparse
import random
import statistics
import sys
import time

from tests.benchmarks.catalogs import catalog_make, question_make
from text2sql.pipeline.retrieval import Example, Index

LIMIT_MS = 30.0
TOP = 20
EXAMPLES = 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=300, help="questions (at least 100)")
    arguments = parser.parse_args()
    chance = random.Random(7)
    schema = catalog_make(arguments.tables)
    names = [table.qualified_name for table in schema.tables]
    examples = [Example(question_make(chance), tuple(chance.sample(names, 3))) for _ in range(EXAMPLES)]
    started = time.perf_counter()
    index = Index.build(schema, examples)
    built = time.perf_counter() - started
    content = index.to_bytes()
    started = time.perf_counter()
    index = Index.from_bytes(content)
    loaded = time.perf_counter() - started
    taken = []
    for _ in range(max(arguments.rounds, 100)):
        question = question_make(chance)
        begun = time.thread_time_ns()
        index.rank(question, TOP)
        taken.append((time.thread_time_ns() - begun) / 1e6)
    median, late = statistics.median(taken), statistics.quantiles(taken, n=20)[-1]
    passed = median < LIMIT_MS
    sys.stdout.write(
        f"{arguments.tables} tables, {EXAMPLES} approved examples, the best {TOP} of them for {len(taken)} questions\n"
        f"build   {built:.2f} s\n"
        f"load    {loaded * 1000:.0f} ms\n"
        f"size    {len(content) / 1e6:.2f} MB packed, about {index.byte_count / 1e6:.1f} MB in memory\n"
        f"rank    p50 {median:.1f} ms, p95 {late:.1f} ms CPU\n"
        f"limit   {LIMIT_MS:.0f} ms p50: {'kept' if passed else 'EXCEEDED'}\n"
    )
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())

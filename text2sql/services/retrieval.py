"""Where a question finds the index of a large schema: in this process, in a row, or made on the spot.

A question is never refused for want of an index: where there is none it is built in the process, which takes tens of
milliseconds for some hundred tables, about a second for ten thousand. An index of a large schema is also wanted as a
row, which the worker builds, so that other processes and later starts need not. With an encoder every index is, since
encoding takes seconds; until it is there, words alone decide.
"""

import hashlib
import json
import logging
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from threading import Lock
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from observability.models.deliveries import Delivery
from text2sql.models.retrieval import RetrievalIndex
from text2sql.pipeline.retrieval import Encoder, EncoderMissing, Example, Index, IndexUnreadable, sentence_encoder
from text2sql.pipeline.retrieval.packing import VERSION
from text2sql.pipeline.schema import Schema

logger = logging.getLogger(__name__)

LARGE = 500
"""Tables from which on an index is kept as a row."""

SHELF_BYTES = 128 * 1024 * 1024
"""What the indexes in a process may take; ten thousand tables take some 15 MB."""

LEASE = timedelta(minutes=5)
UNUSED_AFTER = timedelta(days=7)
"""Each approved example makes a new index, so that old ones pile up quickly."""

Key = tuple[UUID, str]


class Shelf:
    """Indexes by key, the least used of them given away where they take more than `limit` bytes; the last one stays."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = Lock()
        self._kept: OrderedDict[Key, tuple[Index, date | None]] = OrderedDict()
        self._byte_count = 0

    def find(self, key: Key) -> tuple[Index, date | None] | None:
        """The index, and the day on which its row was read; None: look for a better one."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: Key, index: Index, read_on: date | None) -> None:
        with self._lock:
            if before := self._kept.pop(key, None):
                self._byte_count -= before[0].byte_count
            self._kept[key] = (index, read_on)
            self._byte_count += index.byte_count
            while self._byte_count > self.limit and len(self._kept) > 1:
                _, (oldest, _) = self._kept.popitem(last=False)
                self._byte_count -= oldest.byte_count

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()
            self._byte_count = 0


shelf = Shelf(SHELF_BYTES)
# A crowd of first questions builds one index: one of them, while the others wait. Sixteen locks for all keys, so that
# they need no tidying; two keys that share one wait for each other now and then.
_building = tuple(Lock() for _ in range(16))


def index_for(schema: Schema, *, database_id: UUID, key: str, examples: Sequence[Example] = ()) -> Index:
    """The index of a schema as a team sees it.

    `key` tells apart all that goes into it: the schema's version, the team's view, notes, and which `examples` there
    are. No query where the process has it, but for one a day; two at most where it has not. A wanted row is lost with
    the transaction that it is written in, so call this outside of one.
    """
    today = timezone.now().date()
    place = (database_id, _digest(key))
    is_kept = len(schema.tables) >= LARGE or bool(settings.RETRIEVAL_ENCODER)
    found = shelf.find(place)
    if found and (found[1] == today or not is_kept):
        return found[0]
    with _building[hash(place) % len(_building)]:
        found = shelf.find(place)
        if found and found[1] == today:
            return found[0]
        built = _read(place, today) if is_kept else None
        index = built or (found[0] if found else None)
        if index is None:
            index = Index.build(schema, examples)
            if is_kept:
                _want(place, schema, examples, today)
        shelf.put(place, index, today if built or not settings.RETRIEVAL_ENCODER else None)
    return index


def indexes_build(*, limit: int = 5) -> int:
    """Build what is wanted, the oldest first. Returns how many were built."""
    count = 0
    for _ in range(limit):
        rows = RetrievalIndex.objects.claim(limit=1, lease=LEASE)
        if not rows:
            break
        count += sum(map(_build, rows))
    return count


def indexes_prune(now: datetime) -> int:
    """Delete what no question needed for a week, and what could not be built: who still asks will want it again."""
    unused = Q(used_on__lt=now.date() - UNUSED_AFTER)
    deleted, _ = RetrievalIndex.objects.filter(unused | Q(state=Delivery.State.FAILED)).delete()
    return deleted


def _read(place: Key, today: date) -> Index | None:
    """The index in the row, if it is built; the row is known to be in use then, built or not."""
    rows = RetrievalIndex.objects.filter(database_id=place[0], key=place[1])
    found = rows.values_list("content", "used_on").first()
    if found is None:
        return None
    content, used_on = found
    if used_on < today:
        rows.filter(used_on__lt=today).update(used_on=today)
    if content is None:
        return None
    try:
        return Index.from_bytes(bytes(content), encoder=_encoder())
    except IndexUnreadable:
        logger.warning("An index of database %s is damaged and is built anew", place[0])
        rows.delete()
        return None


def _want(place: Key, schema: Schema, examples: Iterable[Example], today: date) -> None:
    source = {"schema": schema.as_json(), "examples": [[each.question, each.tables] for each in examples]}
    packed = zlib.compress(json.dumps(source, separators=(",", ":")).encode(), 1)
    row = RetrievalIndex(database_id=place[0], key=place[1], source=packed, used_on=today)
    # Two processes at once: one row. A row that is already wanted stays as it is.
    RetrievalIndex.objects.bulk_create([row], ignore_conflicts=True)


def _build(row: RetrievalIndex) -> bool:
    try:
        source = json.loads(zlib.decompress(bytes(row.source or b"")))
        examples = [Example(question, tuple(tables)) for question, tables in source["examples"]]
        index = Index.build(Schema.from_json(source["schema"]), examples, encoder=_encoder())
    except (zlib.error, ValueError, KeyError, TypeError) as error:
        logger.warning("An index of database %s cannot be built: %s", row.database_id, type(error).__name__)
        RetrievalIndex.objects.note_unbuildable(row, error=f"{type(error).__name__}: {error}")
        return False
    RetrievalIndex.objects.note_built(row, content=index.to_bytes())
    return True


def _encoder() -> Encoder | None:
    """The one in the settings; None where there is none, or it cannot be loaded."""
    try:
        return sentence_encoder(settings.RETRIEVAL_ENCODER) if settings.RETRIEVAL_ENCODER else None
    except EncoderMissing as error:
        logger.warning("Tables are ranked by words alone: %s", error)
        return None


def _digest(key: str) -> str:
    # With the packing's version, so that processes of two releases do not read each other's rows.
    return hashlib.sha256(f"{VERSION} {settings.RETRIEVAL_ENCODER} {key}".encode()).hexdigest()

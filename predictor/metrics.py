"""What Prometheus is told about predicting: where users come from, how fresh the item side is."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

USERS_READ = Counter(
    "recommender_users_read", "Users read, by the store that knew them.", ["store"]
)
USERS_RENEWED = Counter(
    "recommender_users_renewed",
    "Users kept in memory who were read from Redis again because a micro-batch had changed them.",
)
CHANGES = Counter(
    "recommender_changes_followed", "Micro-batches taken over from the change stream."
)
LOADS = Counter(
    "recommender_loads",
    "Readings of the item side from Postgres: all of it, or the rows changed since.",
    ["extent"],
)
DELAY = Histogram(
    "recommender_change_delay_seconds",
    "Seconds from the commit of a micro-batch to its use in answers.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
)
# Where several worker processes serve, that of the one that is farthest behind.
BATCH = Gauge(
    "recommender_as_of_batch",
    "The last micro-batch that answers take account of.",
    multiprocess_mode="livemin",
)
NEXT_OFFSET = Gauge(
    "recommender_as_of_next_offset",
    "First offset of each partition that answers do not take account of.",
    ["partition"],
    multiprocess_mode="livemin",
)
AGE = Gauge(
    "recommender_as_of_age_seconds",
    "Seconds since the commit that answers are as of.",
    multiprocess_mode="livemax",
)
BEHIND = Gauge(
    "recommender_batches_behind",
    "Micro-batches that the truth was ahead of this process when it was asked last.",
    multiprocess_mode="livemax",
)
LAG = Gauge(
    "recommender_records_behind",
    "Records in the log that the modeler had not learned when it told last; not a number where it "
    "does not tell.",
    multiprocess_mode="livemax",
)
ITEMS = Gauge("recommender_items", "Items in memory.", multiprocess_mode="livemin")
CURRENT = Gauge(
    "recommender_current",
    "1 while the item side follows a store; 0: answers say stale.",
    multiprocess_mode="livemin",
)
WORKERS = Gauge(
    "recommender_workers",
    "Worker processes that have an item side to serve.",
    multiprocess_mode="livesum",
)

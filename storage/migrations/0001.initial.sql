-- The truth: what has been rated, what has been learned, and how far into the log.

CREATE TABLE models (
    model         integer PRIMARY KEY,
    status        text NOT NULL CHECK (status IN ('training', 'candidate', 'serving', 'retired')),
    settings      jsonb NOT NULL,             -- rank, learning_rate, ..., seed, rating_min, rating_max
    data          text NOT NULL DEFAULT '',   -- where its ratings come from, in words, for people
    rating_sum    double precision NOT NULL DEFAULT 0,  -- μ = rating_sum / rating_count
    rating_count  bigint NOT NULL DEFAULT 0,
    batch         bigint NOT NULL DEFAULT 0,  -- the last micro-batch committed
    fence         bigint NOT NULL DEFAULT 0,  -- raised by each modeler that takes the model over
    created_at    timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX one_serving_model ON models (status) WHERE status = 'serving';

-- A record at (topic, partition, offset) has been learned if and only if offset < next_offset.
CREATE TABLE offsets (
    model        integer NOT NULL REFERENCES models ON DELETE CASCADE,
    topic        text NOT NULL,
    partition    integer NOT NULL,
    next_offset  bigint NOT NULL,
    PRIMARY KEY (model, topic, partition)
);

-- state: bias, factors, ranking factors, ranking step; little-endian float32 (recommender.rows.RowFormat).
-- One partition a model (user_rows_1, ...): a retired model goes with one DROP TABLE.
CREATE TABLE user_rows (
    model  integer NOT NULL,
    id     text COLLATE "C" NOT NULL,
    n      integer NOT NULL,                  -- ratings learned for this row
    batch  bigint NOT NULL,                   -- the micro-batch that changed it last
    state  bytea NOT NULL,
    PRIMARY KEY (model, id)
) PARTITION BY LIST (model);
CREATE TABLE item_rows (
    model  integer NOT NULL,
    id     text COLLATE "C" NOT NULL,
    n      integer NOT NULL,
    batch  bigint NOT NULL,
    state  bytea NOT NULL,
    PRIMARY KEY (model, id)
) PARTITION BY LIST (model);

-- History, append-only. A pair rated again has several rows: the one with the highest offset holds.
CREATE TABLE ratings (
    "user"     text COLLATE "C" NOT NULL,
    item       text COLLATE "C" NOT NULL,
    rating     real NOT NULL,
    rated_at   double precision NOT NULL,     -- seconds since the epoch, as the client gave it
    partition  integer NOT NULL,
    "offset"   bigint NOT NULL
);
CREATE INDEX ratings_by_user ON ratings ("user");

-- event_ids that have been learned: a second delivery is a duplicate.
CREATE TABLE events (
    event_id   text COLLATE "C" PRIMARY KEY,
    partition  integer NOT NULL,
    "offset"   bigint NOT NULL
);

CREATE TABLE dead_letters (
    topic      text NOT NULL,
    partition  integer NOT NULL,
    "offset"   bigint NOT NULL,
    reason     text NOT NULL,
    key        bytea,
    value      bytea,
    at         timestamptz NOT NULL DEFAULT now(),
    published  boolean NOT NULL DEFAULT false,  -- whether it has been sent to the dead-letter topic
    PRIMARY KEY (topic, partition, "offset")
);
CREATE INDEX dead_letters_to_publish ON dead_letters (topic) WHERE NOT published;

-- The catalogue. attributes: genres (list of strings), year (number), anything else the owner sends.
CREATE TABLE items (
    item        text COLLATE "C" PRIMARY KEY,
    title       text,
    attributes  jsonb NOT NULL DEFAULT '{}'
);

-- Measurements of each micro-batch, prequential: every rating is tested before it is learned.
CREATE TABLE micro_batches (
    model           integer NOT NULL REFERENCES models ON DELETE CASCADE,
    batch           bigint NOT NULL,
    at              timestamptz NOT NULL DEFAULT now(),
    ratings         integer NOT NULL,            -- learned
    duplicates      integer NOT NULL,
    dead_letters    integer NOT NULL,
    squared_error   double precision NOT NULL,   -- sums over the ratings learned; RMSE = √(squared_error / ratings)
    absolute_error  double precision NOT NULL,
    warm_ratings    integer NOT NULL,            -- those whose user and item had been rated before
    warm_squared_error double precision NOT NULL,
    total_ratings   bigint NOT NULL,             -- learned by the model, this batch included
    seconds         jsonb NOT NULL DEFAULT '{}', -- by step
    offsets         jsonb NOT NULL,              -- {"ratings": {"0": next_offset, ...}, ...} after this batch
    PRIMARY KEY (model, batch)
);

-- Staging, in a ring of slots used in turn by consecutive micro-batches. Written by tasks outside the
-- transaction; only rows whose writer (fence, task) reported success are merged, so failed attempts
-- have no effect. Unlogged: what a Postgres crash empties, the driver notices by count and runs again.
DO $$
BEGIN
    FOR slot IN 0..3 LOOP
        EXECUTE format('CREATE UNLOGGED TABLE staged_rows_%s (
            fence bigint NOT NULL, task bigint NOT NULL, side text COLLATE "C" NOT NULL,
            id text COLLATE "C" NOT NULL, n integer NOT NULL, state bytea NOT NULL)', slot);
        EXECUTE format('ALTER TABLE staged_rows_%s ALTER state SET STORAGE EXTERNAL', slot);
        EXECUTE format('CREATE UNLOGGED TABLE staged_ratings_%s (
            fence bigint NOT NULL, task bigint NOT NULL,
            "user" text COLLATE "C" NOT NULL, item text COLLATE "C" NOT NULL, rating real NOT NULL,
            rated_at double precision NOT NULL, partition integer NOT NULL, "offset" bigint NOT NULL,
            event_id text COLLATE "C")', slot);
        EXECUTE format('CREATE UNLOGGED TABLE staged_items_%s (
            fence bigint NOT NULL, task bigint NOT NULL,
            item text COLLATE "C" NOT NULL, title text, attributes text NOT NULL)', slot);
        EXECUTE format('CREATE UNLOGGED TABLE staged_dead_letters_%s (
            fence bigint NOT NULL, task bigint NOT NULL,
            topic text NOT NULL, partition integer NOT NULL, "offset" bigint NOT NULL,
            reason text NOT NULL, key bytea, value bytea)', slot);
    END LOOP;
END $$;

-- depends: 0006.staged-ratings-in-lists

-- History, append-only: a row is what one user rated in one micro-batch, at most some dozens. What a row
-- costs, its header, its entry in the index and in the log, is paid once for all of them. The latest
-- rating of a pair, by offset, holds.
CREATE TABLE history (
    "user"     text COLLATE "C" NOT NULL,
    item       text[] COLLATE "C" NOT NULL,   -- lists of one length, in the order of the log
    rating     real[] NOT NULL,
    rated_at   double precision[] NOT NULL,   -- seconds since the epoch, as the client gave it
    partition  integer NOT NULL,
    "offset"   bigint[] NOT NULL
);

-- What lies side by side in the old table goes together; the order of the file stays, about.
INSERT INTO history
SELECT "user", array_agg(item ORDER BY place), array_agg(rating ORDER BY place),
       array_agg(rated_at ORDER BY place), partition, array_agg("offset" ORDER BY place)
FROM (SELECT *, row_number() OVER (PARTITION BY run ORDER BY place) - 1 AS number
      FROM (SELECT *, count(*) FILTER (WHERE first) OVER (ORDER BY place) AS run
            FROM (SELECT *, ctid AS place,
                         ("user", partition) IS DISTINCT FROM
                         (lag("user") OVER (ORDER BY ctid), lag(partition) OVER (ORDER BY ctid)) AS first
                  FROM ratings) one) runs) numbered
GROUP BY run, number / 32, "user", partition
ORDER BY run, number / 32;

CREATE INDEX history_by_user ON history ("user");
DROP TABLE ratings;

-- The same, a row each rating: for reading.
CREATE VIEW ratings AS
SELECT "user", unnest(item) AS item, unnest(rating) AS rating, unnest(rated_at) AS rated_at,
       partition, unnest("offset") AS "offset"
FROM history;

-- Staged as it will be stored.
DO $$
BEGIN
    FOR slot IN 0..3 LOOP
        EXECUTE format('DROP TABLE staged_ratings_%s', slot);
        EXECUTE format('CREATE UNLOGGED TABLE staged_ratings_%s (
            fence bigint NOT NULL, task bigint NOT NULL,
            "user" text COLLATE "C" NOT NULL, item text[] COLLATE "C" NOT NULL, rating real[] NOT NULL,
            rated_at double precision[] NOT NULL, partition integer NOT NULL, "offset" bigint[] NOT NULL,
            event_id text[] COLLATE "C")', slot);  -- null where none of them has one
    END LOOP;
END $$;

-- depends: 0003.model-versions

-- Users take back ratings. What is named here has been deleted from the history up to that offset, and
-- from the counts of all rows. `item` null: all of the user's, the user's row as well.
CREATE TABLE withdrawals (
    partition     integer NOT NULL,
    "offset"      bigint NOT NULL,
    "user"        text COLLATE "C" NOT NULL,
    item          text COLLATE "C",
    withdrawn_at  double precision NOT NULL,  -- seconds since the epoch, as the client gave it
    PRIMARY KEY (partition, "offset")
);

-- Σ n of users = Σ n of items = rows in ratings
--   = records up to next_offset − dead letters − duplicates − withdrawals − withdrawn.
ALTER TABLE micro_batches
    ADD withdrawals integer NOT NULL DEFAULT 0,  -- records
    ADD withdrawn   bigint NOT NULL DEFAULT 0;   -- ratings that they took back

-- staged_events: event ids of records of which nothing goes to the history.
DO $$
BEGIN
    FOR slot IN 0..3 LOOP
        EXECUTE format('CREATE UNLOGGED TABLE staged_withdrawals_%s (
            fence bigint NOT NULL, task bigint NOT NULL, partition integer NOT NULL, "offset" bigint NOT NULL,
            "user" text COLLATE "C" NOT NULL, item text COLLATE "C", withdrawn_at double precision NOT NULL)', slot);
        EXECUTE format('CREATE UNLOGGED TABLE staged_events_%s (
            fence bigint NOT NULL, task bigint NOT NULL,
            event_id text COLLATE "C" NOT NULL, partition integer NOT NULL, "offset" bigint NOT NULL)', slot);
    END LOOP;
END $$;

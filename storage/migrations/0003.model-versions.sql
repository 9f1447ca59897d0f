-- depends: 0002.dead-letter-replays

-- Models as versions. `training`: being learned from the history by `modeler fit`. `candidate` and
-- `serving`: the modeler learns every micro-batch for all of these, in one transaction, so they have
-- learned the same ratings. `retired`: the rows are gone, what is written here stays.
ALTER TABLE models
    ADD parent      integer REFERENCES models, -- the model that served, or was copied, when it was made
    ADD trained_to  jsonb,                     -- offsets of the snapshot it was trained from; as in micro_batches
    ADD joined      bigint NOT NULL DEFAULT 0, -- the micro-batch after which it learns with the stream
    ADD metrics     jsonb NOT NULL DEFAULT '{}', -- of its training: held-out RMSE, ...
    ADD reason      text NOT NULL DEFAULT '',  -- why it has its status, for people
    ADD served_at   timestamptz,               -- when it last began to serve
    ADD retired_at  timestamptz;
UPDATE models SET served_at = created_at WHERE status = 'serving';

-- A task stages the rows of several models.
DO $$
BEGIN
    FOR slot IN 0..3 LOOP
        EXECUTE format('TRUNCATE staged_rows_%s', slot);
        EXECUTE format('ALTER TABLE staged_rows_%s ADD model integer NOT NULL', slot);
    END LOOP;
END $$;

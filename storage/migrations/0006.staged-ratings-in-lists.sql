-- depends: 0005.races-and-drift

-- A row is some thousand ratings of a task: lists of one length, or null where none has one. What a row
-- costs, its header and who wrote it, is paid once for all of them.
DO $$
BEGIN
    FOR slot IN 0..3 LOOP
        EXECUTE format('DROP TABLE staged_ratings_%s', slot);
        EXECUTE format('CREATE UNLOGGED TABLE staged_ratings_%s (
            fence bigint NOT NULL, task bigint NOT NULL,
            "user" text[] COLLATE "C" NOT NULL, item text[] COLLATE "C" NOT NULL, rating real[] NOT NULL,
            rated_at double precision[] NOT NULL, partition integer[] NOT NULL, "offset" bigint[] NOT NULL,
            event_id text[] COLLATE "C")', slot);
        -- Read whole and soon dropped: not worth compressing.
        EXECUTE format('ALTER TABLE staged_ratings_%s
            ALTER "user" SET STORAGE EXTERNAL, ALTER item SET STORAGE EXTERNAL,
            ALTER rating SET STORAGE EXTERNAL, ALTER rated_at SET STORAGE EXTERNAL,
            ALTER partition SET STORAGE EXTERNAL, ALTER "offset" SET STORAGE EXTERNAL,
            ALTER event_id SET STORAGE EXTERNAL', slot);
    END LOOP;
END $$;

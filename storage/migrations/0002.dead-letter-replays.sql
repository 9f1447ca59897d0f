-- depends: 0001.initial

-- A dead letter may be sent to its topic again once what was wrong is corrected. Noted twice: before it
-- is sent, so that a process killed in between leaves a trace, and where it went afterwards.
ALTER TABLE dead_letters
    ADD replayed_at        timestamptz,  -- when it was last sent again, or was about to be
    ADD replayed_partition integer,      -- where that record is; null: not known whether it was sent
    ADD replayed_offset    bigint;

-- depends: 0004.withdrawals

-- Races: candidates that are copies of one model with other steps, all learning the live stream.
-- The serving model takes part; the others are the models that name the race.
CREATE TABLE races (
    race        integer PRIMARY KEY,
    settings    jsonb NOT NULL,              -- width, error, half-life, ... as it was started with
    batch       bigint NOT NULL,             -- the micro-batch after which it began
    started_at  timestamptz NOT NULL DEFAULT now(),
    ended_at    timestamptz,
    reason      text NOT NULL DEFAULT ''     -- how it stands or why it ended, for people
);
CREATE UNIQUE INDEX one_race_at_a_time ON races ((true)) WHERE ended_at IS NULL;
ALTER TABLE models ADD race integer REFERENCES races;

-- What the drift test has noticed on the prequential losses of the model that served.
CREATE TABLE drifts (
    model      integer NOT NULL REFERENCES models ON DELETE CASCADE,
    batch      bigint NOT NULL,              -- the micro-batch at which it was noticed
    at         timestamptz NOT NULL DEFAULT now(),
    usual      double precision NOT NULL,    -- mean squared error before
    deviation  double precision NOT NULL,    -- and its standard deviation
    loss       double precision NOT NULL,    -- at that micro-batch
    PRIMARY KEY (model, batch)
);

"""The three stores: the log (Kafka), the truth (Postgres), the projection (Redis)."""

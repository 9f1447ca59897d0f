"""The three real stores behind small interfaces: the log (Kafka), the truth (Postgres), the projection (Redis)."""

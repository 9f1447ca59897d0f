"""The embedded stack: real Kafka, Postgres and Redis as children, and the services, one command."""

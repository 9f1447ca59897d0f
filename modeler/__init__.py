"""The Spark side: learns from the log, commits, projects, and judges models."""

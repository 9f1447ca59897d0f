"""Web pages in which people rate films and watch the model learn.

Speaks HTTP to ingest and predictor and imports neither; all it keeps is who a visitor is.
"""

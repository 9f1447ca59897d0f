"""The predictor's routes, one file for each endpoint."""

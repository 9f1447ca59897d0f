"""The mathematics and the meaning: ratings, factors, the B-SGD step, evaluation, data sets.

No network, no database, no Spark. Every other room may import this one.
"""

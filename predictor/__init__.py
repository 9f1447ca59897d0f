"""HTTP service: predictions and recommendations from stored factors.

The item side of the serving model is held in memory and follows the projection's change stream;
users are read when they are asked for. Whatever store is away, there is an answer as long as an
item is known.
"""

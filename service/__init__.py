"""What every HTTP service here shares: one error shape, health, metrics, logs.

No business of any one service.
"""

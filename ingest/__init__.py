"""The way in: an HTTP service that checks ratings and catalogue entries and publishes them."""

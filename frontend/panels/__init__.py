"""The panels that pages are put together from; each shows one part of a visit."""

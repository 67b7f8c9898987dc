"""`holdfast demo`: two calls held and resumed before your eyes."""


def demo() -> None:
    """x"""

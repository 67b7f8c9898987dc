"""The figures we promise, measured from outside the engine: `make bench` prints each beside its bar."""

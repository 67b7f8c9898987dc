"""`holdfast doctor`: checks of this machine."""

"""Commands about live calls and holds."""

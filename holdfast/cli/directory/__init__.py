"""Commands about lines, numbers, routes and the account."""

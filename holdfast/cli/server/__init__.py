"""`holdfast serve`: the processes of a server and their HTTP server."""

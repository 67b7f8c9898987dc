"""The demo: two calls held and resumed before your eyes, and measured at each ear."""

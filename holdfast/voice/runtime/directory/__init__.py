"""The directory: lines, numbers, routes, API keys and SIP domains."""

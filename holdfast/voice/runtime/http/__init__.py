"""The HTTP client: URL checks, cache, cookies, traces."""

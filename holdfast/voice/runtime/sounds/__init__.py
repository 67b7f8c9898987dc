"""Sounds: the cache, decoding and speech in their own processes, and generated tones."""

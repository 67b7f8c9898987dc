"""The ids, messages, errors and ports that all parts of the engine use."""

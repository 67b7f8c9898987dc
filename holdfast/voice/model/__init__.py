"""Words: ids, messages, errors and ports that the whole engine speaks."""

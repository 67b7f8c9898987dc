"""Sound: arrays in, arrays out."""

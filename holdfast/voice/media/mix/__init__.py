"""The audio of all legs as arrays: routing, mixing, clips, beeps, concealment."""

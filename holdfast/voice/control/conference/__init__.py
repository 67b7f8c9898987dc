"""The conference machine: participants, audio, announcements, callbacks."""

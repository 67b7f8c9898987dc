"""Configuration of the SIP shell: settings, TLS files, and how dead peers are found."""

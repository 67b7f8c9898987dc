"""Configuration of the SIP shell: settings, TLS files, how dead peers are found."""

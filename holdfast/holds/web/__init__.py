"""Serve holds over HTTP: JSON API, webhooks, schemas and metrics."""

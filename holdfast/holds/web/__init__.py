"""This package is the HTTP side of the holds service: JSON API, webhooks, schemas and metrics."""

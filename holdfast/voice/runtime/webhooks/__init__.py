"""Webhooks: documents fetched and status callbacks posted."""

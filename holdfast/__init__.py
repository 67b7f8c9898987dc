"""Holdfast puts live phone calls on hold and brings them back."""

"""Sounds before they are clips: recognised, decoded in a process of their own, or made here."""

"""Ways to hold: how a hold is carried out."""

"""Ways to hold: pure planners. Given what was read of the account, each gives the steps in order, or refuses."""

"""Labels of the user's own traffic: choose queries, have both tiers answer them, judge or check the answers."""

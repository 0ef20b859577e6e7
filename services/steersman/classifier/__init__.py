"""The classifier: features, trained heads, their training and evaluation."""

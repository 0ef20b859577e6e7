"""Prompts that an operator has had kept for labelling: how they are sealed, and with which keys."""

"""What a policy's boundaries do to traffic: chosen on a sample of it, and played back over what was decided."""

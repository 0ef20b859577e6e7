"""The steps of `steersman label`, a module each."""

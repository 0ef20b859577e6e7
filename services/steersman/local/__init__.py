"""The whole system on one machine: real parts, small real models, one supervisor."""

"""The backend: a bounded queue and a load report in front of one engine."""

"""The OpenAI wire format: bodies, server-sent events, error shapes, and a client for engines that speak it."""

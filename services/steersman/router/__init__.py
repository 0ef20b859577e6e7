"""The router: takes a query, decides its tier, has it answered there."""

"""Who a caller is: API keys and what is kept of them."""

"""Remote signing for companies: keys that only what their holders keep opens (decision 19)."""

"""GraphQL types alone, one file a noun: what they tell is fetched beside this folder, and a resolver is one line."""

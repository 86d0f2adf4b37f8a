"""GraphQL over HTTP: what a request may be, and the answer to it."""

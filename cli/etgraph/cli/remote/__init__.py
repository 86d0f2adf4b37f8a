"""A session with a server: questions as GraphQL over HTTP, answers read back into what they are everywhere else."""

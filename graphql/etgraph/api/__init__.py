"""The GraphQL API: any question about any stored trace, over HTTP."""

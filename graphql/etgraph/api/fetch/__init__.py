"""What resolvers call: each module gets one noun's data from the store of the request's context."""

const fetcher = GraphiQL.createFetcher({ url: new URL("graphql", window.location.href).href });
const started = `# etgraph's GraphQL API. Ctrl-Space completes; the book at the left has the documentation.
{
  traces(first: 10) {
    nodes { id workload created ranks operators findings { bound findings { title gainNs advice } } }
  }
}
`;
const asked = new URLSearchParams(window.location.search);
ReactDOM.createRoot(document.getElementById("graphiql")).render(
  React.createElement(GraphiQL, {
    fetcher,
    defaultQuery: started,
    query: asked.get("query") ?? undefined,
    variables: asked.get("variables") ?? undefined,
  }),
);

const fetcher = GraphiQL.createFetcher({ url: new URL("graphql", window.location.href).href });
const started = `# etgraph's GraphQL API. Ctrl-Space completes; the book at the left has the documentation.
{
  __schema {
    queryType { fields { name description } }
  }
}
`;
ReactDOM.createRoot(document.getElementById("graphiql")).render(
  React.createElement(GraphiQL, { fetcher, defaultQuery: started }),
);

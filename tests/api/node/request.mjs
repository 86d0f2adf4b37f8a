// A client from npm: a query with variables, a mutation, and an error.
import { GraphQLClient, gql } from "graphql-request";

const client = new GraphQLClient(process.argv.at(-1));
const asked = await client.request(gql`query Greet($name: String) { hello(name: $name) }`, { name: "Ada" });
const counted = await client.request(gql`mutation { count(by: 2) { count } }`);
let code = null;
try {
  await client.request(gql`{ missing }`);
} catch (error) {
  code = error.response.errors[0].extensions.code;
}
console.log(JSON.stringify({ hello: asked.hello, count: counted.count.count, code }));

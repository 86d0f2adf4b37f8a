// The audit of GraphQL over HTTP on a server: every result as JSON.
import { auditServer } from "graphql-http";

const results = await auditServer({ url: process.argv.at(-1) });
console.log(JSON.stringify(results.map(({ id, name, status, reason }) => ({ id, name, status, reason }))));

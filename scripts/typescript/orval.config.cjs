// The default client of orval. The names of its own types once collided with those of the contract.
module.exports = { api: { input: "../../openapi.yaml", output: { target: "../../.cache/typescript/orval/api.ts" } } };

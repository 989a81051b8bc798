// The default client of orval, whose own type names once collided with those of the contract.
module.exports = { api: { input: "../../openapi.yaml", output: { target: "../../.cache/typescript/orval/api.ts" } } };

// Writes the TypeScript blocks of the README into one program, which `npm run check` compiles with the tests.
import { readFileSync, writeFileSync } from "node:fs";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const blocks = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, block]) => block);
if (blocks.length === 0) throw new Error("the README has no TypeScript");
writeFileSync(new URL("readme.gen.ts", import.meta.url), `// Written by readme.mjs from README.md.
import type { components, ProblemOf } from "../src/index.js";
declare const password: string;
${blocks.join("\n").replaceAll('"accounts-client"', '"../src/index.js"').replaceAll('"accounts-client/react"', '"../src/react.js"')}
export { closed, Greeting, minimum, otherwise, title, until };
`);

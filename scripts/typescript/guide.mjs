// guide.mjs writes the code blocks of Markdown files that have a name into a folder. The name is in
// the line before the block:
//
//   <!-- file: NAME -->
//
// Fails if a block in ts or tsx has no name, so that the step "types" of scripts/verify.sh compiles all of
// them.
//
//   node scripts/typescript/guide.mjs FOLDER FILE...
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const [folder, ...files] = process.argv.slice(2);
let written = 0;
for (const file of files) {
  const text = readFileSync(file, "utf8");
  for (const match of text.matchAll(/^(?:<!-- (?<mark>.*?) -->\n)?```(?<language>\w*)\n(?<code>.*?)^```$/gms)) {
    const { mark, language, code } = match.groups;
    const name = /^file: ((?:src\/)?[\w.-]+)$/.exec(mark ?? "")?.[1];
    if (name) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), code);
      written++;
    } else if (["ts", "tsx"].includes(language)) {
      console.error(`${file}:${text.slice(0, match.index).split("\n").length}: a block in ${language} must follow <!-- file: NAME -->`);
      process.exitCode = 1;
    }
  }
}
console.log(`guide: ${written} files in ${folder}`);
if (written === 0) process.exitCode = 1;

// check-links.mjs checks that every link inside the project leads to a file, and every #anchor to a
// heading. In "`name` in [`file`](file)" it also checks that the file contains the name. It reads
// each Markdown file of the tree and does not fetch links to other hosts.
//
//   node scripts/check-links.mjs
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
process.chdir(root);

const git = (...args) => execFileSync("git", args, { encoding: "utf8" }).split("\0").filter(Boolean);
const tracked = new Set(git("ls-files", "-z", "--cached", "--others", "--exclude-standard").filter((file) => existsSync(file)));

/** Returns the text without code, in which brackets are not links. Line numbers do not change. */
function prose(text) {
  const blank = (match) => match.replace(/[^\n]/g, " ");
  return text.replace(/^(`{3,}|~{3,})[^\n]*\n[\s\S]*?^\1[^\n]*$/gm, blank).replace(/<!--[\s\S]*?-->/g, blank);
}

/** Returns the anchors of a file: those that GitHub derives from headings, and explicit ones. */
function anchors(text) {
  const found = new Set();
  const seen = new Map();
  for (const [, heading] of prose(text).matchAll(/^#{1,6}[ \t]+(.+?)[ \t]*#*$/gm)) {
    const slug = heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
      .replace(/[`*]/g, "")
      .toLowerCase()
      .replace(/[^\p{L}\p{M}\p{N}\p{Pc} -]/gu, "")
      .replace(/ /g, "-");
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    found.add(count ? `${slug}-${count}` : slug);
  }
  for (const [, id] of text.matchAll(/<[a-z]+ (?:id|name)="([^"]+)"/g)) found.add(id);
  return found;
}

/**
 * Returns inline links and images, reference definitions, and href or src of HTML as [target,
 * offset].
 */
function* links(text) {
  const plain = prose(text).replace(/(`+)(?!`)[\s\S]*?[^`]\1(?!`)/g, (match) => match.replace(/[^\n]/g, " "));
  const patterns = [
    /\]\(\s*<?([^\s)>]+)>?(?:\s+["'(][^)]*)?\)/g,
    /^ {0,3}\[[^\]]+\]:\s*<?(\S+?)>?(?:\s|$)/gm,
    /<(?:a|img|source)\b[^>]*\b(?:href|src)="([^"]+)"/g,
  ];
  for (const pattern of patterns) for (const match of plain.matchAll(pattern)) yield [match[1], match.index];
}

/** Returns the fault of a link, or nothing. */
function fault(file, target) {
  if (/^[a-z][a-z0-9+.-]*:|^\/\//i.test(target)) return;
  const [path, anchor] = target.split("#", 2).map(decodeURIComponent);
  const wanted = path === "" ? file : normalize(join(path.startsWith("/") ? "." : dirname(file), path)).replace(/\/$/, "");
  if (relative(root, join(root, wanted)).startsWith("..")) return "leaves the project";
  const folder = existsSync(wanted) && statSync(wanted).isDirectory();
  if (folder ? ![...tracked].some((name) => wanted === "." || name.startsWith(`${wanted}/`)) : !tracked.has(wanted)) return "no such file";
  if (!anchor || folder || !wanted.endsWith(".md")) return;
  if (!anchors(readFileSync(wanted, "utf8")).has(anchor)) return "no such heading";
}

/** Returns [name, file, offset] of each "`name` in [`file`](file)". */
function* names(text) {
  for (const match of text.matchAll(/`(\w+)` in\s+\[[^\]]*\]\(([^)#]+)\)/g)) yield [match[1], match[2], match.index];
}

let checked = 0;
let faults = 0;

function report(file, text, offset, fault) {
  faults++;
  console.log(`${file}:${text.slice(0, offset).split("\n").length}: ${fault}`);
}

for (const file of [...tracked].filter((name) => name.endsWith(".md"))) {
  const text = readFileSync(file, "utf8");
  for (const [target, offset] of links(text)) {
    checked++;
    const wrong = fault(file, target);
    if (!wrong) continue;
    report(file, text, offset, `${target}: ${wrong}`);
  }
  for (const [name, target, offset] of names(text)) {
    const path = join(dirname(file), target);
    if (!tracked.has(path) || readFileSync(path, "utf8").split(/\W+/).includes(name)) continue;
    report(file, text, offset, `${target} does not contain ${name}`);
  }
}
console.log(`check-links: ${checked} links, ${faults} broken`);
process.exit(faults ? 1 : 0);

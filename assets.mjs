// Builds what is committed under static/: one minified style sheet from static/css/src, and the
// third-party files of static/vendor, copied byte for byte from the pinned npm packages with their
// licences. The same sources give the same bytes. The trap: a vendored file that nobody can trace, so
// each is listed in static/vendor/manifest.json with its version, licence and SHA-256.

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

const ROOT = import.meta.dirname;
const VENDOR = join(ROOT, "static", "vendor");

// Package → the files taken from it, and what they are for.
const TAKEN = {
  idiomorph: { files: ["dist/idiomorph.esm.js", "LICENSE"], use: "changes a page's part in place" },
  "lightweight-charts": {
    files: ["dist/lightweight-charts.standalone.production.mjs", "LICENSE"],
    use: "candles",
  },
  uplot: { files: ["dist/uPlot.esm.js", "dist/uPlot.min.css", "LICENSE"], use: "curves" },
};

async function styleSheet() {
  await build({
    entryPoints: [join(ROOT, "static/css/src/app.css")],
    outfile: join(ROOT, "static/css/app.css"),
    bundle: true,
    minify: true,
    legalComments: "none",
    logLevel: "warning",
  });
}

function vendored(name, { files, use }) {
  const from = join(ROOT, "node_modules", name);
  const { version, license, homepage } = JSON.parse(readFileSync(join(from, "package.json")));
  const folder = `${name}-${version}`;
  mkdirSync(join(VENDOR, folder));
  const sha256 = {};
  for (const path of files) {
    const bytes = readFileSync(join(from, path));
    const target = path.split("/").at(-1);
    writeFileSync(join(VENDOR, folder, target), bytes);
    sha256[target] = createHash("sha256").update(bytes).digest("hex");
  }
  return { folder, name, version, license, use, homepage, source: `npm ${name}@${version}`, sha256 };
}

await styleSheet();
mkdirSync(VENDOR, { recursive: true });
for (const entry of readdirSync(VENDOR)) rmSync(join(VENDOR, entry), { recursive: true });
const manifest = Object.entries(TAKEN).map(([name, taken]) => vendored(name, taken));
writeFileSync(join(VENDOR, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);

// Compile each JSON Schema of a folder in the strict mode of ajv, which is that of node_modules beside the second argument.
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [folder, packages] = process.argv.slice(2);
const { default: Ajv } = createRequire(packages)("ajv");
const files = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith(".json"));
for (const file of files) {
  try {
    new Ajv({ strict: true, allErrors: true }).compile(JSON.parse(readFileSync(join(folder, file), "utf8")));
  } catch (error) {
    console.error(`${file}: ${error.message}`);
    process.exitCode = 1;
  }
}
console.log(`${files.length} files`);

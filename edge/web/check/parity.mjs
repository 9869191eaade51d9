// node parity.mjs FOLDER RUNTIME MODEL...: whether the engine in FOLDER computes what the program RUNTIME does on this
// machine: models with integer weights to the bit, others to rounding.
import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const EXAMPLES = 16;
/** As in runtime/src/kernels/tests.rs. */
const TOLERANCE = 2e-5;

const [folder, runtime, ...models] = process.argv.slice(2);
const { open } = await import(pathToFileURL(resolve(folder, "latent.js")));
const scratch = await mkdtemp(join(tmpdir(), "latent-web-"));
try {
  for (const file of models) {
    const model = await open(await readFile(file));
    const inputs = Array.from({ length: EXAMPLES }, (_, seed) => model.sample(seed));
    const [given, saved] = ["given.f32", "saved.f32"].map((name) => join(scratch, name));
    await writeFile(given, Buffer.concat(inputs.map((input) => Buffer.from(input.buffer))));
    execFileSync(runtime, ["run", file, "--input", given, "--save-output", saved, "--force"], { stdio: ["ignore", "ignore", "inherit"] });
    const expected = new Float32Array((await readFile(saved)).buffer.slice(0));
    const found = Float32Array.from(inputs.flatMap((input) => [...model.run(input)[0]]));
    if (found.length !== expected.length) throw new Error(`${file}: ${found.length} values, ${expected.length} on this machine`);
    const isExact = model.info.precision === "int8";
    const allowed = (value) => (isExact ? 0 : TOLERANCE * (1 + Math.abs(value)));
    const at = found.findIndex((value, index) => !(Math.abs(value - expected[index]) <= allowed(value)));
    if (at >= 0) throw new Error(`${file}: value ${at} is ${found[at]}, on this machine ${expected[at]}`);
    let sum = 0x811c9dc5;
    for (const byte of new Uint8Array(found.buffer)) sum = Math.imul(sum ^ byte, 0x01000193) >>> 0;
    const how = isExact ? `to the bit, checksum ${sum.toString(16).padStart(8, "0")}` : "to rounding";
    console.log(`${basename(file)}: ${EXAMPLES} examples as on this machine, ${how}`);
  }
} finally {
  await rm(scratch, { recursive: true });
}

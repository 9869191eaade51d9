// node ten-lines.mjs MODEL.lat PICTURE.pgm
import { readFile, writeFile } from "node:fs/promises";
import { open } from "../latent.js";

const [, , file, out] = process.argv;
const model = await open(await readFile(file));
const latent = model.sample(7);
const { width, height, channels, pixels } = model.draw(latent);
const header = `P${channels === 3 ? 6 : 5}\n${width} ${height}\n255\n`;
await writeFile(out, Buffer.concat([Buffer.from(header), pixels]));
console.log(`${out}: ${width}x${height} by ${model.info.instructions}`);

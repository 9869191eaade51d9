// node page.mjs FOLDER PICTURE.png SCREENSHOTS: opens the page of FOLDER in Chromium and tries it: the picture of seed 7 is
// PICTURE.png, as `runtime run --seed 7 --count 1` wrote it, bit for bit; keys, clicks and files that are no models do what
// they should; nothing is complained of. Leaves screenshots.
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Browser } from "./browser.mjs";

const SIZES = [[1280, 800], [390, 844]];

const [folder, picture, screenshots] = process.argv.slice(2);

function expect(found, expected, what) {
  if (found !== expected) throw new Error(`${what}: found ${found}, expected ${expected}`);
}

/** The server that edge/web/README.md tells to use, on a port that is free. */
async function serve() {
  const server = spawn("python3", ["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", folder], { stdio: ["ignore", "pipe", "ignore"] });
  for await (const line of server.stdout) {
    const port = /port (\d+)/.exec(line)?.[1];
    if (port) return { server, address: `http://127.0.0.1:${port}/` };
  }
  throw new Error("python3 -m http.server has ended");
}

const READY = "document.documentElement.dataset.ready === 'true'";

/** Whether the canvas shows what a PNG does. */
async function compare(browser) {
  const png = (await readFile(picture)).toString("base64");
  const differ = await browser.evaluate(`(async () => {
    const blob = await (await fetch("data:image/png;base64,${png}")).blob();
    const expected = await createImageBitmap(blob);
    const bytes = (source) => {
      const context = new OffscreenCanvas(source.width, source.height).getContext("2d");
      context.drawImage(source, 0, 0);
      return context.getImageData(0, 0, source.width, source.height).data;
    };
    const [a, b] = [bytes(document.getElementById("picture")), bytes(expected)];
    return a.length === b.length ? a.filter((byte, at) => byte !== b[at]).length : -1;
  })()`);
  expect(differ, 0, "bytes of the page's picture that are not the host's");
}

/** Gives the page a file, as dropping it does. */
async function drop(browser, bytes, name) {
  await browser.evaluate(`(() => {
    const data = new DataTransfer();
    data.items.add(new File([Uint8Array.from(atob("${bytes.toString("base64")}"), (c) => c.charCodeAt(0))], "${name}"));
    window.dispatchEvent(new DragEvent("drop", { dataTransfer: data }));
  })()`);
}

async function tryAll(browser, address) {
  await browser.open(`${address}#seed=7`, SIZES[0]);
  await browser.until(`${READY} && document.getElementById("picture").dataset.seed === "7"`);
  await compare(browser);
  // A click in the map goes there; back again by the keys.
  await browser.evaluate(`document.querySelector('[data-seed="12"]').click()`);
  await browser.until(`document.getElementById("picture").dataset.seed === "12"`);
  await browser.evaluate(`document.querySelector('[data-seed="6"]').focus()`);
  await browser.press("ArrowRight");
  await browser.press("Enter", "Enter", "\r");
  await browser.until(`document.getElementById("picture").dataset.seed === "7"`);
  await compare(browser);
  // The space bar begins the walk and ends it.
  await browser.evaluate(`document.activeElement.blur()`);
  await browser.press(" ", "Space", " ");
  await browser.until(`document.getElementById("play").ariaPressed === "true" && document.getElementById("picture").dataset.seed === ""`);
  await browser.press(" ", "Space", " ");
  await browser.until(`document.getElementById("play").ariaPressed === "false"`);
  // A value of the vector.
  await browser.evaluate(`document.getElementById("bars").focus()`);
  await browser.press("ArrowRight");
  await browser.press("PageUp");
  await browser.until(`document.getElementById("from").textContent === "your own"`);
  await browser.until(`/^2 of 96/.test(document.getElementById("value").textContent)`);
  // Files: another model, and what is none.
  const small = await readFile(join(folder, "small.lat"));
  await drop(browser, small, "small.lat");
  await browser.until(`document.querySelector("#model b")?.textContent === "small.lat"`);
  for (const [bytes, name, message] of [
    [small.subarray(0, 1000), "cut.lat", "error 103"],
    [Buffer.from("no model at all, but long enough for a header".repeat(9)), "text.lat", "error 101"],
    [await readFile(join(folder, "encoder.lat")), "encoder.lat", "encoder"],
  ]) {
    await drop(browser, bytes, name);
    await browser.until(`document.getElementById("notice").textContent.includes("${name}")`);
    const found = await browser.evaluate(`document.getElementById("notice").textContent`);
    if (!found.includes(message)) throw new Error(`the page says of ${name}: ${found}`);
    console.log(`of ${name} the page says: ${found.slice(0, -1)}`);
  }
  expect(await browser.evaluate(`document.querySelector("#model b").textContent`), "small.lat", "the model after wrong files");
  for (const scheme of ["dark", "light"]) {
    for (const size of SIZES) {
      await browser.open(`${address}#seed=7`, size, scheme);
      await browser.until(READY);
      await browser.evaluate(`document.querySelector('[data-seed="3"]').click()`);
      await browser.until(`document.getElementById("picture").dataset.seed === "3" && ${READY}`);
      const width = await browser.evaluate(`document.documentElement.scrollWidth`);
      expect(width <= size[0], true, `the page is ${width} wide in a window of ${size[0]}`);
      await writeFile(join(screenshots, `${size.join("x")}-${scheme}.png`), await browser.screenshot());
      console.log(`${size.join("x")}, ${scheme}: a picture takes ${await browser.evaluate(`document.getElementById("latency").textContent`)}`);
    }
  }
}

await mkdir(screenshots, { recursive: true });
const profile = await mkdtemp(join(tmpdir(), "latent-chromium-"));
const { server, address } = await serve();
const browser = await Browser.start(profile);
try {
  await tryAll(browser, address);
  if (browser.complaints.length) throw new Error(`the browser complains: ${browser.complaints.join("; ")}`);
} finally {
  browser.close();
  server.kill();
  await new Promise((wait) => setTimeout(wait, 500));
  await rm(profile, { recursive: true, force: true, maxRetries: 5 });
}
console.log("the page's picture of seed 7 is this machine's, bit for bit");

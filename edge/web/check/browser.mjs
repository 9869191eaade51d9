// Chromium without a window, by its DevTools protocol over a pipe (https://chromedevtools.github.io/devtools-protocol/).
import { spawn } from "node:child_process";

/** A page in a browser of its own. Everything that it complains of is in `complaints`. */
export class Browser {
  #child;
  #waiting = new Map();
  #number = 0;
  #session;
  complaints = [];

  static async start(profile) {
    const browser = new Browser();
    // Without a sandbox, which root cannot have; what is opened is the project's own page.
    const flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run"];
    const pipes = { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] };
    browser.#child = spawn("chromium", [...flags, `--user-data-dir=${profile}`, "--remote-debugging-pipe", "about:blank"], pipes);
    browser.#child.on("exit", () => browser.#waiting.forEach(({ reject }) => reject(new Error("chromium has ended"))));
    browser.#read();
    const { targetInfos } = await browser.#send("Target.getTargets");
    const page = targetInfos.find((target) => target.type === "page") ?? (await browser.#send("Target.createTarget", { url: "about:blank" }));
    browser.#session = (await browser.#send("Target.attachToTarget", { targetId: page.targetId, flatten: true })).sessionId;
    for (const domain of ["Page", "Runtime", "Log"]) await browser.send(`${domain}.enable`);
    return browser;
  }

  #read() {
    let rest = "";
    this.#child.stdio[4].setEncoding("utf8").on("data", (data) => {
      const messages = (rest + data).split("\0");
      rest = messages.pop();
      messages.map((text) => JSON.parse(text)).forEach((message) => this.#take(message));
    });
  }

  #take({ id, result, error, method, params }) {
    if (method === "Runtime.exceptionThrown") this.complaints.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    if (method === "Runtime.consoleAPICalled") this.complaints.push(params.args.map(({ value }) => value).join(" "));
    if (method === "Log.entryAdded") this.complaints.push(`${params.entry.text} ${params.entry.url ?? ""}`);
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error) waiting?.reject(new Error(`${waiting.method}: ${error.message}`));
    else waiting?.resolve(result);
  }

  #send(method, params = {}, sessionId) {
    const id = ++this.#number;
    this.#child.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject, method }));
  }

  send(method, params) {
    return this.#send(method, params, this.#session);
  }

  /** Opens an address in a window of some size, in a color scheme. */
  async open(url, [width, height], scheme = "dark") {
    await this.send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 500 });
    await this.send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
    await this.send("Page.navigate", { url: "about:blank" });
    await this.send("Page.navigate", { url });
  }

  /** What an expression is in the page, a promise's result. */
  async evaluate(expression) {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception?.description ?? exceptionDetails.text}`);
    return result.value;
  }

  /** Waits until an expression is true; while a page is loading it may have no meaning. */
  async until(expression, seconds = 30) {
    for (const end = Date.now() + 1000 * seconds; Date.now() < end; await new Promise((wait) => setTimeout(wait, 50))) {
      if (await this.evaluate(`Boolean(${expression})`).catch(() => false)) return;
    }
    throw new Error(`after ${seconds} s it is still not so that ${expression}`);
  }

  async press(key, code = key, text) {
    await this.send("Input.dispatchKeyEvent", { type: "keyDown", key, code, text });
    await this.send("Input.dispatchKeyEvent", { type: "keyUp", key, code });
  }

  /** The page as PNG, from its top. */
  async screenshot() {
    return Buffer.from((await this.send("Page.captureScreenshot", { format: "png" })).data, "base64");
  }

  close() {
    this.#child.kill();
  }
}

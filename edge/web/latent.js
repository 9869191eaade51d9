// Packed models in browsers and in Node: the other side of the WebAssembly module that src/lib.rs is.
//
//     import { open } from "./latent.js";
//     const model = await open(bytes);          // of a .lat file
//     const picture = model.draw(model.sample(7));

/** What the engine refuses, in words, with the number that never changes its meaning (0: it was not asked). */
export class LatentError extends Error {
  constructor(code, message) {
    super(message);
    this.name = "LatentError";
    this.code = code;
  }
}

/** The compiled engine, from `latent.wasm` beside this file or from elsewhere; the default one is fetched once. */
export async function compile(url = new URL("latent.wasm", import.meta.url)) {
  if (url.protocol === "file:" && globalThis.process?.versions?.node) {
    const { readFile } = await import("node:fs/promises");
    return WebAssembly.compile(await readFile(url));
  }
  const response = await fetch(url);
  if (!response.ok) throw new LatentError(0, `${url}: the server says ${response.status}, expected the engine`);
  return WebAssembly.compile(await response.arrayBuffer());
}

let compiled;

/** Opens a packed model: an ArrayBuffer or a Uint8Array of a whole `.lat` file. */
export async function open(bytes, engine = (compiled ??= compile())) {
  const instance = await WebAssembly.instantiate(await engine, {});
  return new Model(instance.exports, bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : bytes);
}

/** A model in an instance of the engine of its own, which goes when the model does. */
export class Model {
  #engine;
  #vectors;

  constructor(engine, bytes) {
    this.#engine = engine;
    const place = this.#room(bytes.length);
    new Uint8Array(engine.memory.buffer, place, bytes.length).set(bytes);
    this.#check(engine.latent_open(place, bytes.length));
    this.#check(engine.latent_describe());
    /** Kind, precision, inputs, outputs, metadata and so on: see `Description` in src/describe.rs. */
    this.info = JSON.parse(this.#text());
    this.info.range &&= floats(this.info.range);
    if (this.info.distribution) this.info.distribution.push(...floats(this.info.distribution.splice(1)));
    const { inputs, outputs, latent, picture } = this.info;
    const count = (port) => port.shape.reduce((product, extent) => product * extent, 1);
    /** Values of a latent vector: of the first input. */
    this.size = latent || count(inputs[0]);
    /** Values of an example of each input and output. */
    this.inputSizes = inputs.map(count);
    this.outputSizes = outputs.map(count);
    /** Width, height and channels of the first output, if it is a picture; else null. */
    this.picture = picture;
    this.#vectors = [0, 1, 2].map(() => this.#room(4 * this.size));
  }

  /** The latent vector of a seed: a number or a BigInt. The same in every program of the project. */
  sample(seed) {
    const [to] = this.#vectors;
    this.#check(this.#engine.latent_sample(BigInt.asUintN(64, BigInt(seed)), to, this.size));
    return this.#floats(to, this.size).slice();
  }

  /** A vector on the great circle from one to another. */
  slerp(from, target, t) {
    const [a, b, to] = this.#vectors;
    this.#floats(a, this.size).set(from);
    this.#floats(b, this.size).set(target);
    this.#engine.latent_slerp(a, b, t, to, this.size);
    return this.#floats(to, this.size).slice();
  }

  /** The values of every output, from an array for each input. */
  run(...inputs) {
    this.#give(inputs);
    this.#check(this.#engine.latent_run());
    return this.outputSizes.map((size, index) => this.#floats(this.#engine.latent_output(index), size).slice());
  }

  /** The first output as a picture: { width, height, channels, pixels }, rows from above, bytes. */
  draw(...inputs) {
    if (!this.picture) {
      throw new LatentError(0, `the output "${this.info.outputs[0].name}" of shape ${JSON.stringify(this.info.outputs[0].shape)} is no picture`);
    }
    this.#give(inputs);
    this.#check(this.#engine.latent_draw());
    const pixels = new Uint8Array(this.#engine.memory.buffer, this.#engine.latent_pixels(), this.outputSizes[0]);
    return { ...this.picture, pixels: pixels.slice() };
  }

  #give(inputs) {
    if (inputs.length !== this.inputSizes.length) {
      const names = this.info.inputs.map((port) => port.name).join(", ");
      throw new LatentError(0, `${inputs.length} inputs were given, the model has ${this.inputSizes.length}: ${names}`);
    }
    inputs.forEach((values, index) => {
      const size = this.inputSizes[index];
      if (values.length !== size) {
        throw new LatentError(0, `the input "${this.info.inputs[index].name}" has ${size} values, ${values.length} were given`);
      }
      this.#floats(this.#engine.latent_input(index), size).set(values);
    });
  }

  // The memory is another ArrayBuffer whenever this has made it grow.
  #room(bytes) {
    const place = this.#engine.latent_room(bytes) >>> 0;
    if (!place) throw new LatentError(1, `there is no memory for ${bytes} bytes more`);
    return place;
  }

  #floats(at, length) {
    return new Float32Array(this.#engine.memory.buffer, at, length);
  }

  #text() {
    const { memory, latent_text, latent_text_length } = this.#engine;
    return new TextDecoder().decode(new Uint8Array(memory.buffer, latent_text(), latent_text_length()));
  }

  #check(code) {
    if (code === 1) throw new LatentError(1, "there is no memory for this model");
    if (code) throw new LatentError(code, this.#text());
  }
}

/** The numbers that have these bits. */
function floats(bits) {
  return [...new Float32Array(Uint32Array.from(bits).buffer)];
}

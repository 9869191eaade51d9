// The page: a walk through a generator's latent space, from seed to seed.
import { LatentError, open } from "./latent.js";

const SHIPPED = "dcgan-mnist.int8.lat";
/** Seconds from one seed to the next at speed 1, and to one that was clicked. */
const STEP = 2;
const GLIDE = 0.6;
/** Pictures of the map, and the milliseconds of a frame that may go into drawing it. */
const SEEDS = 48;
const BUDGET = 8;

const $ = (id) => document.getElementById(id);
const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;

let model = null;
/** Both ends of the way: { seed, z }, where a vector of the user's own has no seed; how far along it we are; the place. */
let from, to, t, z;
let playing = false;
let gliding = false;
let label = 0;
let firstSeed = 0;
let chosen = 0;
/** Milliseconds of the last pictures. */
let times = [];
let unfinished = [];

const named = (end) => (end.seed === undefined ? "your own" : `seed ${end.seed}`);
const end = (seed) => ({ seed, z: model.sample(seed) });
const smooth = (t) => t * t * (3 - 2 * t);
const number = (value, unit = "") => `${Number(value.toPrecision(3))}${unit}`;

/** A number of bytes or of multiplications for people. */
function short(value, steps, base) {
  const step = Math.min(steps.length - 1, Math.floor(Math.log(Math.max(value, 1)) / Math.log(base)));
  return number(value / base ** step, ` ${steps[step]}`);
}

function notice(text) {
  $("notice").hidden = !text;
  $("notice").firstElementChild.textContent = text;
}

/** What the model draws, onto a canvas. */
function draw(canvas, latent) {
  const { info } = model;
  const inputs = info.inputs.map((port) => (port.name === info.metadata["latent.label"] ? [label] : latent));
  const began = performance.now();
  const { width, height, channels, pixels } = model.draw(...inputs);
  const took = performance.now() - began;
  const image = new ImageData(width, height);
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      image.data[4 * pixel + channel] = pixels[channels === 3 ? 3 * pixel + channel : pixel];
    }
    image.data[4 * pixel + 3] = 255;
  }
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  canvas.getContext("2d").putImageData(image, 0, 0);
  return took;
}

/** Shows where we are. */
function show() {
  z = t === 0 ? from.z : t === 1 ? to.z : model.slerp(from.z, to.z, smooth(t));
  times = [...times.slice(-119), draw($("picture"), z)];
  // The median: of a busy machine some pictures are late.
  $("latency").textContent = number([...times].sort((a, b) => a - b)[times.length >> 1], " ms");
  const here = t < 0.5 ? from : to;
  $("picture").dataset.seed = t === 0 || t === 1 ? (here.seed ?? "") : "";
  $("picture").setAttribute("aria-label", `The generated picture, near ${named(here)}`);
  $("from").textContent = named(from);
  $("to").textContent = named(to);
  $("position").value = t;
  fill($("position"));
  for (const button of $("seeds").children) {
    button.setAttribute("aria-current", String(here.seed === Number(button.dataset.seed)));
  }
  showBars();
}

/** How much of a slider is colored. */
function fill(slider) {
  const part = (slider.value - slider.min) / (slider.max - slider.min);
  slider.style.setProperty("--part", `${100 * part}%`);
}

function play(on) {
  playing = on;
  $("play").setAttribute("aria-pressed", String(on));
  $("play").setAttribute("aria-label", on ? "Pause" : "Play");
}

/** The next seed of a walk: one of the map, but not where we are. */
function next() {
  const step = 1 + Math.floor(Math.random() * (SEEDS - 1));
  return end(firstSeed + (((to.seed ?? 0) - firstSeed + step + SEEDS) % SEEDS));
}

function goTo(seed) {
  from = t === 1 ? to : t === 0 ? from : { z };
  [to, t, gliding] = [end(seed), calm ? 1 : 0, !calm];
  history.replaceState(null, "", `#seed=${seed}`);
  show();
}

let last = 0;
function frame(now) {
  requestAnimationFrame(frame);
  const seconds = Math.min((now - last) / 1000, 0.1);
  last = now;
  if (!model) return;
  if (playing || gliding) {
    if (t === 1 && playing && !gliding) [from, to, t] = [to, next(), 0];
    t = Math.min(1, t + (gliding ? seconds / GLIDE : (seconds / STEP) * 2 ** $("speed").value));
    if (t === 1) gliding = false;
    show();
  }
  const began = performance.now();
  while (unfinished.length && performance.now() - began < BUDGET) {
    const button = unfinished.shift();
    draw(button.firstElementChild, model.sample(Number(button.dataset.seed)));
  }
  document.documentElement.dataset.ready = String(!unfinished.length && !gliding);
}

/** The map's buttons, drawn as there is time. */
function showMap() {
  const { width, height } = model.info.picture;
  unfinished = Array.from({ length: SEEDS }, (_, index) => {
    const button = document.createElement("button");
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    button.type = "button";
    button.title = `seed ${firstSeed + index}`;
    button.setAttribute("aria-label", button.title);
    button.dataset.seed = firstSeed + index;
    button.tabIndex = index === 0 ? 0 : -1;
    button.append(canvas);
    return button;
  });
  $("seeds").replaceChildren(...unfinished);
  $("map-title").textContent = `Seeds ${firstSeed} to ${firstSeed + SEEDS - 1}`;
  $("previous").disabled = firstSeed === 0;
}

/** The least and the largest value that a latent vector usually has. */
function limits() {
  const [name, a, b] = model.info.distribution ?? ["uniform", -1, 1];
  return name === "normal" ? [a - 3 * b, a + 3 * b] : [a, b];
}

function showBars() {
  const canvas = $("bars");
  const scale = devicePixelRatio;
  const [width, height] = [canvas.clientWidth * scale, canvas.clientHeight * scale].map(Math.round);
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  const style = getComputedStyle(canvas);
  const [accent, line, ink] = ["--accent", "--line", "--ink"].map((name) => style.getPropertyValue(name));
  context.clearRect(0, 0, width, height);
  context.fillStyle = line;
  context.fillRect(0, Math.round(height / 2), width, scale);
  const [low, high] = limits();
  const step = width / z.length;
  z.forEach((value, index) => {
    const part = Math.min(1, Math.max(0, (value - low) / (high - low)));
    const top = Math.min(part, 0.5);
    context.fillStyle = index === chosen ? ink : accent;
    context.globalAlpha = index === chosen ? 1 : 0.45 + 1.1 * Math.abs(part - 0.5);
    context.fillRect(index * step + step * 0.12, height * (1 - top - Math.abs(part - 0.5)), step * 0.76, height * Math.abs(part - 0.5) + scale);
  });
  context.globalAlpha = 1;
  const text = `${chosen + 1} of ${z.length}: ${z[chosen].toFixed(2)}`;
  $("value").textContent = text;
  canvas.setAttribute("aria-valuetext", text);
  canvas.setAttribute("aria-valuemin", low);
  canvas.setAttribute("aria-valuemax", high);
  canvas.setAttribute("aria-valuenow", z[chosen].toFixed(2));
}

/** Changes a value of the vector, which is then the user's own. */
function change(index, value) {
  const [low, high] = limits();
  const own = Float32Array.from(z);
  chosen = index;
  own[index] = Math.min(high, Math.max(low, value));
  play(false);
  from = to = { z: own };
  [t, gliding] = [0, false];
  show();
}

async function openModel(bytes, name) {
  const opened = await open(bytes);
  const { info } = opened;
  const others = info.inputs.slice(1).filter((port) => port.name !== info.metadata["latent.label"]);
  if (!info.picture) {
    throw new LatentError(0, `it is a model of the kind "${info.kind}" that gives ${JSON.stringify(info.outputs[0].shape)}; this page walks through generators of pictures`);
  }
  if (others.length) {
    throw new LatentError(0, `it also wants "${others.map((port) => port.name).join('", "')}"; this page gives a latent vector and a class`);
  }
  const classes = info.inputs.length > 1 ? Number(info.metadata["latent.classes"] ?? 10) : 0;
  $("classes").hidden = !classes;
  $("label").replaceChildren(...Array.from({ length: classes }, (_, index) => new Option(index, index)));
  [model, label, chosen, times] = [opened, 0, 0, []];
  const size = short(bytes.byteLength, ["bytes", "KB", "MB", "GB"], 1000);
  $("model").replaceChildren(Object.assign(document.createElement("b"), { textContent: name }));
  $("model").append(` ${[info.metadata["latent.dataset"], info.precision, size].filter(Boolean).join(" · ")}`);
  $("products").textContent = short(info.products, ["", "thousand", "million", "billion"], 1000);
  $("arena").textContent = short(info.arena, ["bytes", "KB", "MB", "GB"], 1000);
  $("instructions").textContent = info.instructions;
  const seed = Number(/^#seed=(\d{1,15})$/.exec(location.hash)?.[1] ?? -1);
  firstSeed = Math.max(0, seed - (seed % SEEDS));
  from = to = end(Math.max(seed, 0));
  t = 1;
  play(seed < 0 && !calm);
  showMap();
  show();
  notice("");
}

/** Opens what was dropped or chosen; the model that is open stays where that fails. */
async function openFile(file) {
  try {
    if (file) await openModel(await file.arrayBuffer(), file.name);
  } catch (error) {
    if (!(error instanceof LatentError) && !(error instanceof WebAssembly.RuntimeError)) throw error;
    notice(`${file.name} cannot be opened: ${error.message}${error.code ? ` (error ${error.code})` : ""}.`);
  }
}

$("play").onclick = () => play(!playing);
$("notice").lastElementChild.onclick = () => notice("");
$("file").onchange = ({ target }) => openFile(target.files[0]).then(() => (target.value = ""));
$("position").oninput = ({ target }) => {
  play(false);
  [t, gliding] = [Number(target.value), false];
  show();
};
$("speed").oninput = ({ target }) => {
  fill(target);
  $("pace").textContent = number(2 ** target.value, " ×");
};
$("label").onchange = ({ target }) => {
  label = Number(target.value);
  showMap();
  show();
};
$("save").onclick = () =>
  $("picture").toBlob((blob) => {
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: "latent.png" });
    link.click();
    URL.revokeObjectURL(link.href);
  });
for (const [id, step] of [["previous", -SEEDS], ["next", SEEDS]]) {
  $(id).onclick = () => {
    firstSeed = Math.max(0, firstSeed + step);
    showMap();
    show();
  };
}
$("seeds").onclick = ({ target }) => {
  const button = target.closest("button");
  if (button) goTo(Number(button.dataset.seed));
};
$("seeds").onkeydown = (event) => {
  const buttons = [...$("seeds").children];
  const columns = getComputedStyle($("seeds")).gridTemplateColumns.split(" ").length;
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
  const button = buttons[buttons.indexOf(document.activeElement) + steps[event.key]];
  if (!(event.key in steps)) return;
  event.preventDefault();
  if (!button) return;
  buttons.forEach((other) => (other.tabIndex = other === button ? 0 : -1));
  button.focus();
};
const paint = (event) => {
  if (!model || !(event.buttons & 1)) return;
  const { left, top, width, height } = $("bars").getBoundingClientRect();
  const [low, high] = limits();
  const index = Math.floor(((event.clientX - left) / width) * z.length);
  change(Math.min(z.length - 1, Math.max(0, index)), high - ((event.clientY - top) / height) * (high - low));
};
$("bars").onpointerdown = (event) => {
  $("bars").setPointerCapture(event.pointerId);
  paint(event);
};
$("bars").onpointermove = paint;
$("bars").onkeydown = (event) => {
  const [low, high] = limits();
  const along = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const up = { ArrowUp: 1, ArrowDown: -1, PageUp: 5, PageDown: -5 }[event.key];
  if (!model || !(along || up)) return;
  event.preventDefault();
  if (up) return change(chosen, z[chosen] + (up * (high - low)) / 20);
  chosen = (chosen + along + z.length) % z.length;
  showBars();
};
document.onkeydown = (event) => {
  if (event.key !== " " || event.target !== document.body) return;
  event.preventDefault();
  play(!playing);
};
addEventListener("resize", () => model && showBars());
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("is-dropping");
});
addEventListener("dragleave", (event) => event.relatedTarget ?? document.body.classList.remove("is-dropping"));
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("is-dropping");
  openFile(event.dataTransfer.files[0]);
});

fill($("speed"));
requestAnimationFrame(frame);
try {
  const response = await fetch(SHIPPED);
  if (!response.ok) throw new LatentError(0, `the server says ${response.status} for ${SHIPPED}`);
  await openModel(await response.arrayBuffer(), SHIPPED);
} catch (error) {
  $("model").textContent = "No model";
  notice(`The page has no model: ${error.message}. Open a .lat file to go on.`);
}

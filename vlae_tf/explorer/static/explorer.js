// The page's state is small, and stands in its address: data set, models, image, view, seed, changed numbers.
"use strict";

const ROWS = 8, SHOWN = 6, MOST_NUMBERS = 16;
const $ = (id) => document.getElementById(id);
const START = { dataset: "", models: [], example: 0, drawn: null, view: "draws", seed: 0, second: 1,
  rows: 0, temperature: 1, rung: 1, changes: {} };
const state = { ...START };
let known = [];          // what the server knows of each model
const details = {};      // by model: levels, window, examples
const cards = {};        // by model: element, code, bits, and the question that is being answered
let picture = null;      // pixels of a dropped picture: not kept in the address

// === Talking to the server ===

async function ask(question, content) {
  let reply, answer;
  try {
    reply = await fetch("api/" + question, { method: "POST", body: JSON.stringify(content) });
    answer = await reply.json();
  } catch {
    throw new Error("The explorer does not answer: is it still running in its terminal?");
  }
  if (!reply.ok) throw new Error(answer.error);
  return answer;
}

// An error stays until the next thing that the user does: an answer to an earlier question does not hide it.
function say(words, wrong = false) {
  $("status").textContent = words;
  $("status").classList.toggle("wrong", wrong);
}

const toBytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const toText = (bytes) => {
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(text);
};

// === Images ===

function paint(canvas, pixels, about, levels) {
  const [height, width, channels] = about.image_shape;
  canvas.width = width;
  canvas.height = height;
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) {
      const value = pixels[i * channels + (channels === 3 ? c : 0)];
      image.data[4 * i + c] = levels === 2 ? 255 * (1 - value) : value;
    }
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function paintWindow(canvas, cells, about) {
  const [height, width] = about.image_shape;
  const row = Math.floor(height * 0.7), column = Math.floor(width / 2);
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  context.fillStyle = "#7db4ff";
  for (const [up, side] of cells) context.fillRect(column + side, row - up, 1, 1);
  context.fillStyle = "#b3261e";
  context.fillRect(column, row, 1, 1);
}

const modelsOf = (dataset) => known.filter((about) => about.dataset === dataset);
const first = () => modelsOf(state.dataset)[0];
const levels = () => (details[first().name] || { levels: 2 }).levels;
const size = () => first().image_shape.reduce((a, b) => a * b);

function currentImage() {
  if (picture) return picture;
  if (state.drawn && levels() === 2) {
    const bits = toBytes(state.drawn);
    return Uint8Array.from({ length: size() }, (_, i) => (bits[i >> 3] >> (i & 7)) & 1);
  }
  const examples = details[first().name].examples;
  return examples.length ? toBytes(examples[state.example % examples.length]) : new Uint8Array(size());
}

function setDrawn(pixels) {
  picture = null;
  if (levels() > 2) return void (picture = pixels);
  const bits = new Uint8Array(Math.ceil(pixels.length / 8));
  pixels.forEach((value, i) => { bits[i >> 3] |= value << (i & 7); });
  state.drawn = toText(bits);
}

// === The address ===

function writeAddress() {
  const fields = new URLSearchParams();
  for (const key of ["dataset", "example", "drawn", "view", "seed", "second", "rows", "temperature", "rung"])
    if (state[key] !== null) fields.set(key, state[key]);
  for (const name of state.models) fields.append("models", name);
  if (Object.keys(state.changes).length) fields.set("changes", JSON.stringify(state.changes));
  history.replaceState(null, "", "#" + fields);
}

// Anyone may have written a link: what is not right in it is left out.
function readAddress() {
  const fields = new URLSearchParams(location.hash.slice(1));
  Object.assign(state, START, { changes: {} });
  picture = null;
  for (const key of ["dataset", "drawn", "view"]) if (fields.has(key)) state[key] = fields.get(key);
  const names = [...new Set(known.map((about) => about.dataset))];
  if (!names.includes(state.dataset)) state.dataset = names.includes("mnist_static") ? "mnist_static" : names[0];
  for (const key of ["example", "seed", "second", "rows", "temperature", "rung"])
    if (fields.has(key)) state[key] = number(key, fields.get(key));
  const here = modelsOf(state.dataset).map((about) => about.name);
  const asked = fields.getAll("models").flatMap((text) => here.includes(text) ? [text] : text.split(","));
  state.models = [...new Set(asked)].filter((name) => here.includes(name));
  if (!state.models.length) state.models = here.slice(0, 2);
  if (!document.querySelector(`[data-view="${CSS.escape(state.view)}"]`)) state.view = "draws";
  try {
    if (toBytes(state.drawn).length !== Math.ceil(size() / 8)) state.drawn = null;
  } catch { state.drawn = null; }
  try {
    const changes = Object.entries(JSON.parse(fields.get("changes") || "{}") ?? {});
    for (const [name, values] of changes)
      if (here.includes(name) && Object.values(values).every(Number.isFinite)) state.changes[name] = { ...values };
  } catch { state.changes = {}; }
}

// What a number of the page's state may be: of `text`, the nearest.
function number(key, text) {
  const most = { rows: first().image_shape[0], temperature: 1.5 }[key] ?? 2 ** 31;
  const value = Math.min(Math.max(Number.isFinite(+text) ? +text : START[key], 0), most);
  return key === "temperature" ? value : Math.floor(value);
}

// === What is on the page ===

function buildSource() {
  $("dataset").replaceChildren(...[...new Set(known.map((about) => about.dataset))].map((name) => new Option(name)));
  $("dataset").value = state.dataset;
  const boxes = modelsOf(state.dataset).map((about) => {
    const label = document.createElement("label"), box = document.createElement("input");
    box.type = "checkbox";
    box.value = about.name;
    box.checked = state.models.includes(about.name);
    box.addEventListener("change", () => {
      state.models = modelsOf(state.dataset).map((a) => a.name).filter((name) =>
        document.querySelector(`#models input[value="${CSS.escape(name)}"]`).checked);
      buildCards();
      update();
    });
    label.append(box, " " + about.name);
    return label;
  });
  $("models").replaceChildren($("models").firstElementChild, ...boxes);
}

function buildExamples() {
  const about = first(), { examples } = details[about.name];
  $("examples").replaceChildren(...examples.slice(0, 32).map((text, index) => {
    const button = document.createElement("button"), canvas = document.createElement("canvas");
    button.type = "button";
    button.setAttribute("aria-label", `Test image ${index}`);
    paint(canvas, toBytes(text), about, levels());
    button.append(canvas);
    button.addEventListener("click", () => choose(index));
    return button;
  }));
  const binary = levels() === 2;
  $("paper").classList.toggle("binary", binary);
  $("paper-help").textContent = binary
    ? "Draw with the mouse or a finger; or move with the arrow keys, and press space to set a pixel."
    : "Choose a test image, or take a picture of your own.";
  $("clear").hidden = !binary;
  $("random").hidden = !examples.length;
  $("second").max = Math.max(0, examples.length - 1);
  $("rows").max = about.image_shape[0];
  const rungs = modelsOf(state.dataset).map((model) => model.rungs);
  $("rung").max = Math.max(...rungs);
  document.querySelector("[data-view=rungs]").hidden = !Math.max(...rungs);
}

function choose(index) {
  Object.assign(state, { example: index, drawn: null, changes: {} });
  picture = null;
  update();
}

function buildCards() {
  for (const name of Object.keys(cards)) delete cards[name];
  $("cards").replaceChildren(...state.models.map((name) => {
    const element = $("card").content.firstElementChild.cloneNode(true);
    element.querySelector("h3").textContent = name;
    element.querySelector(".reset").addEventListener("click", () => {
      delete state.changes[name];
      showNumbers(name);
      redraw(name);
    });
    element.querySelector(".file button").addEventListener("click", () => showFile(name));
    cards[name] = { element, code: null, bits: null, asked: 0, waits: 0 };
    return element;
  }));
}

function showFacts(name) {
  const { element } = cards[name], about = known.find((a) => a.name === name), { window: cells } = details[name];
  paintWindow(element.querySelector(".window"), cells, about);
  element.querySelector("figcaption").textContent = cells.length
    ? `Its decoder sees these ${cells.length} pixels when it draws the red one.`
    : "Its decoder sees no other pixel when it draws one.";
}

function showNumbers(name) {
  const { element, code, bits } = cards[name];
  const total = bits.reduce((a, b) => a + b, 0), each = bits.length === code.length;
  element.querySelector(".bits").textContent = `${Math.max(0, total).toFixed(1)} bits`;
  const order = code.map((_, i) => i).sort((a, b) => (each ? bits[b] - bits[a] : a - b)).slice(0, MOST_NUMBERS);
  const most = each ? Math.max(...bits, 0.01) : 1;
  const furthest = Math.ceil(Math.max(3, ...code.map(Math.abs)) + 1);
  element.querySelector(".numbers").replaceChildren(...order.map((index) => {
    const row = document.createElement("div"), slider = document.createElement("input");
    row.className = "number";
    Object.assign(slider, { type: "range", min: -furthest, max: furthest, step: 0.05 });
    slider.value = (state.changes[name] || {})[index] ?? code[index];
    slider.setAttribute("aria-label", `Number ${index} of the code of ${name}`);
    slider.addEventListener("input", () => {
      (state.changes[name] ??= {})[index] = +slider.value;
      redraw(name);
    });
    const label = document.createElement("span");
    label.textContent = index;
    row.append(label, slider);
    if (each) {
      const bar = document.createElement("meter");
      Object.assign(bar, { min: 0, max: most, value: Math.max(0, bits[index]) });
      bar.title = `${bits[index].toFixed(2)} bits`;
      bar.setAttribute("aria-label", `${bits[index].toFixed(2)} bits`);
      row.append(bar);
    }
    return row;
  }));
}

const changed = (name) => cards[name].code.map((value, i) => (state.changes[name] || {})[i] ?? value);
const seeds = (count) => Array.from({ length: count }, (_, i) => state.seed + i);

async function questionOf(name) {
  const code = changed(name);
  if (state.view === "new")
    return ["sample", { model: name, seed: state.seed, temperature: state.temperature }, ROWS];
  if (state.view === "rungs") {
    const most = details[name].rungs.length;
    if (!most) return [null, { images: [], told: "The code of this model has no rungs." }, 0];
    return ["rung", { model: name, rung: Math.min(Math.max(state.rung, 1), most) - 1, code, seed: state.seed }, 0];
  }
  if (state.view === "between") {
    const { examples } = details[name], card = cards[name], { second } = state;
    if (card.second !== second) {
      const other = await ask("encode", {
        model: name, image: examples.length ? examples[second % examples.length] : toText(currentImage()) });
      Object.assign(card, { second, other: other.code });
    }
    const codes = Array.from({ length: ROWS }, (_, i) => code.map((v, j) => v + (card.other[j] - v) * i / (ROWS - 1)));
    return ["decode", { model: name, codes, seeds: Array(ROWS).fill(state.seed) }, ROWS];
  }
  const content = { model: name, codes: Array(SHOWN).fill(code), seeds: seeds(SHOWN) };
  if (state.view === "complete") Object.assign(content, { rows: state.rows, image: toText(currentImage()) });
  return ["decode", content, SHOWN];
}

function showImages(name, images, { columns, levels, told }) {
  const place = cards[name].element.querySelector(".images"), about = known.find((a) => a.name === name);
  if (place.childElementCount !== images.length)
    place.replaceChildren(...images.map(() => document.createElement("canvas")));
  images.forEach((image, i) => paint(place.children[i], toBytes(image), about, levels ?? details[name].levels));
  place.style.setProperty("--columns", columns ?? (images.length === ROWS ? 4 : 6));
  place.setAttribute("aria-label", `${images.length} images drawn by ${name}`);
  cards[name].element.querySelector(".told").textContent = told ?? "";
}

function wait(card, more) {
  card.waits += more;
  card.element.classList.toggle("waiting", card.waits > 0);
}

// One question at a time for each model; what came meanwhile is asked last, and once.
async function draw(name) {
  const card = cards[name];
  if (!card || !card.code) return;
  writeAddress();
  if (card.busy) return void (card.again = true);
  card.busy = true;
  wait(card, 1);
  const begun = performance.now();
  try {
    do {
      card.again = false;
      const [question, content, count] = await questionOf(name);
      const answer = question ? await ask(question, content) : content;
      // The user may have chosen other models meanwhile.
      if (cards[name] !== card) return;
      showImages(name, count ? answer.images.slice(0, count) : answer.images, answer);
    } while (card.again);
    card.element.dataset.milliseconds = Math.round(performance.now() - begun);
    if (!$("status").classList.contains("wrong")) say("");
  } catch (error) {
    say(error.message, true);
  } finally {
    card.busy = false;
    wait(card, -1);
  }
}

// What the user asked for; what was wrong before is over.
function redraw(...names) {
  say("");
  for (const name of names) draw(name);
}

async function encode(name) {
  const card = cards[name];
  if (!card) return;
  if (!details[name]) {
    say(`Loading ${name}`);
    details[name] = await ask("about", { model: name });
  }
  if (cards[name] !== card) return;
  showFacts(name);
  const mine = ++card.asked;
  const { code, bits } = await ask("encode", { model: name, image: toText(currentImage()) });
  if (mine !== card.asked || cards[name] !== card) return;
  Object.assign(card, { code, bits, second: null });
  showNumbers(name);
  card.element.querySelector(".file span").textContent = "";
  await draw(name);
}

async function showFile(name) {
  const card = cards[name], asked = card.asked, place = card.element.querySelector(".file span");
  place.textContent = "…";
  try {
    const { sizes } = await ask("file", { model: name, image: toText(currentImage()) });
    if (asked !== card.asked) return;
    const [file, png] = (sizes || []).map((bytes) => bytes.toLocaleString("en"));
    place.textContent = sizes ? `This image alone: ${file} bytes. As PNG: ${png}.` : "No files can be made here.";
  } catch (error) {
    place.textContent = "";
    say(error.message, true);
  }
}

async function update() {
  const shown = state.models.map((name) => cards[name]);
  shown.forEach((card) => wait(card, 1));
  say("");
  writeAddress();
  paint($("paper"), currentImage(), first(), levels());
  for (const button of document.querySelectorAll("[data-view]"))
    button.setAttribute("aria-pressed", button.dataset.view === state.view);
  for (const label of document.querySelectorAll("[data-for]")) label.hidden = label.dataset.for !== state.view;
  Object.assign($("second"), { value: state.second });
  Object.assign($("rows"), { value: state.rows });
  Object.assign($("rung"), { value: state.rung });
  Object.assign($("temperature"), { value: state.temperature });
  $("temperature-shown").textContent = state.temperature;
  for (const name of state.models) {
    try { await encode(name); } catch (error) { say(error.message, true); }
  }
  shown.forEach((card) => wait(card, -1));
}

async function open() {
  const about = first();
  if (!details[about.name]) {
    say(`Loading ${about.name}`);
    details[about.name] = await ask("about", { model: about.name });
  }
  if (first() !== about) return;
  buildSource();
  buildExamples();
  buildCards();
  await update();
}

// === Drawing by hand ===

function drawByHand() {
  const paper = $("paper");
  let last = null, cursor = null;
  const place = (event) => {
    const box = paper.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width * paper.width, (event.clientY - box.top) / box.height * paper.height];
  };
  const line = (from, to) => {
    const [height, width] = first().image_shape, pixels = currentImage();
    const steps = 1 + Math.ceil(2 * Math.hypot(to[0] - from[0], to[1] - from[1]));
    for (let s = 0; s <= steps; s++) {
      const x = from[0] + (to[0] - from[0]) * s / steps, y = from[1] + (to[1] - from[1]) * s / steps;
      for (const [dx, dy] of [[-.5, -.5], [.5, -.5], [-.5, .5], [.5, .5]]) {
        const column = Math.floor(x + dx), row = Math.floor(y + dy);
        if (column >= 0 && column < width && row >= 0 && row < height) pixels[row * width + column] = 1;
      }
    }
    setDrawn(pixels);
    paint(paper, pixels, first(), 2);
  };
  paper.addEventListener("pointerdown", (event) => {
    if (levels() > 2 || !event.isPrimary || event.button) return;
    paper.setPointerCapture(event.pointerId);
    if (!state.drawn || picture) setDrawn(new Uint8Array(size()));
    last = place(event);
    line(last, last);
  });
  paper.addEventListener("pointermove", (event) => {
    if (!last || !event.isPrimary) return;
    const now = place(event);
    line(last, now);
    last = now;
  });
  const end = () => {
    if (!last) return;
    last = null;
    state.changes = {};
    update();
  };
  paper.addEventListener("pointerup", end);
  paper.addEventListener("pointercancel", end);
  paper.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (levels() > 2 || (!move && event.key !== " ")) return;
    event.preventDefault();
    cursor ??= [Math.floor(paper.width / 2), Math.floor(paper.height / 2)];
    if (move) {
      cursor = cursor.map((value, i) => Math.min(Math.max(value + move[i], 0), (i ? paper.height : paper.width) - 1));
      paint(paper, currentImage(), first(), 2);
      paper.getContext("2d").fillStyle = "#b3261e";
      paper.getContext("2d").fillRect(...cursor, 1, 1);
    } else {
      const pixels = currentImage(), index = cursor[1] * paper.width + cursor[0];
      pixels[index] = 1 - pixels[index];
      setDrawn(pixels);
      state.changes = {};
      update();
    }
  });
}

async function take(file) {
  if (!file) return;
  try {
    const data = new Uint8Array(await file.arrayBuffer());
    if (data.length > 11e6) throw new Error("A picture may have 11 MB at most");
    const { image } = await ask("picture", { model: first().name, picture: toText(data) });
    const pixels = toBytes(image);
    if (levels() === 2) setDrawn(pixels); else { picture = pixels; state.drawn = null; }
    state.changes = {};
    await update();
  } catch (error) {
    say(`${file.name}: ${error.message}`, true);
  }
}

// === Start ===

function listen() {
  $("dataset").addEventListener("change", () => {
    Object.assign(state, { dataset: $("dataset").value, models: [], drawn: null, example: 0, rows: 0, changes: {} });
    writeAddress();
    readAddress();
    open().catch((error) => say(error.message, true));
  });
  $("clear").addEventListener("click", () => { setDrawn(new Uint8Array(size())); state.changes = {}; update(); });
  $("random").addEventListener("click", () => choose((state.example + 1) % details[first().name].examples.length));
  $("file").addEventListener("change", () => {
    const [file] = $("file").files;
    $("file").value = "";
    take(file);
  });
  $("again").addEventListener("click", () => { state.seed += ROWS; redraw(...state.models); });
  for (const button of document.querySelectorAll("[data-view]"))
    button.addEventListener("click", () => { state.view = button.dataset.view; update(); });
  for (const id of ["second", "rows", "temperature", "rung"])
    $(id).addEventListener("input", () => {
      state[id] = number(id, $(id).value);
      $("temperature-shown").textContent = state.temperature;
      redraw(...state.models);
    });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => { event.preventDefault(); take(event.dataTransfer.files[0]); });
  window.addEventListener("hashchange", () => {
    readAddress();
    open().catch((error) => say(error.message, true));
  });
  drawByHand();
}

(async () => {
  try {
    known = (await ask("models", {})).models;
    readAddress();
    listen();
    await open();
  } catch (error) {
    say(error.message, true);
  }
})();

"use strict";
// One photo at a time: /photo shows or refuses it, then /segment/<stage> answers for each stage, in their order.

const byId = (name) => document.getElementById(name);
const token = document.querySelector('meta[name="page-token"]').content;
const mostUpload = Number(document.body.dataset.mostUpload);
const sections = [...document.querySelectorAll("section.stage")];
const rows = [...document.querySelectorAll("#legend tbody tr")];
const classes = rows.map((row) => row.querySelector("th").textContent.trim());
const percent = (share) => (100 * share).toFixed(1);
let current = 0;            // the photo that the page is about; answers of earlier ones are dropped
let pictures = [];          // what the pointer reads: {stage, stack, colours, scores}
let point = [0.5, 0.5];

function say(text) {
  byId("message").textContent = text;
  byId("message").hidden = !text;
}

async function post(path, file) {
  let response;
  try {
    response = await fetch(path, { method: "POST", body: file,
      headers: { "X-Page-Token": token, "X-File-Name": encodeURIComponent(file.name || "photo") } });
  } catch {
    throw new Error("no answer; is the command that opened this page still running?");
  }
  const answer = await response.json().catch(() => ({ error: `the answer was not understood (${response.status})` }));
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

async function show(file) {
  const mine = ++current;
  say("");
  byId("progress").textContent = "";
  try {
    if (file.size > mostUpload) {
      throw new Error(`${file.name} has ${(file.size / 1048576).toFixed(0)} MiB, expected at most ${mostUpload / 1048576}; shrink it`);
    }
    byId("progress").textContent = `reading ${file.name || "the photo"} …`;
    const photo = await post("/photo", file);
    if (mine !== current) return;
    begin(file, photo);
    for (const [number, section] of sections.entries()) {
      byId("progress").textContent = `${section.dataset.title} (${number + 1} of ${sections.length}) …`;
      const answer = await post(`/segment/${section.dataset.stage}`, file);
      if (mine !== current) return;
      await fill(section, answer, file.name || "photo");
      if (mine !== current) return;
      point_at(point);
    }
    byId("progress").textContent = `${file.name || "photo"}: done`;
  } catch (error) {
    if (mine !== current) return;
    byId("progress").textContent = "";
    byId("results").hidden = byId("results").hidden || !pictures.length;
    say(error.message);
  }
}

function begin(file, photo) {
  pictures = [];
  byId("results").hidden = false;
  byId("pointer").hidden = true;
  byId("photo-size").textContent = `${file.name || "pasted"}, ${photo.width} × ${photo.height}`;
  byId("photo-shown").src = photo.photo;
  byId("photo-shown").alt = `The photo ${file.name || ""}`;
  for (const stack of document.querySelectorAll(".stage .stack")) {
    stack.querySelector(".photo").src = photo.photo;
    stack.querySelector(".map").removeAttribute("src");
    stack.querySelector(".cross").hidden = true;
    stack.classList.add("waiting");
  }
  for (const link of document.querySelectorAll(".save")) link.hidden = true;
  for (const cell of document.querySelectorAll("#legend td")) cell.textContent = "";
  for (const row of rows) row.hidden = true;
}

async function fill(section, answer, name) {
  for (const { crf, map, file, shares } of answer.maps) {
    const figure = section.querySelector(`figure[data-crf="${Number(crf)}"]`);
    const stack = figure.querySelector(".stack"), title = `${section.dataset.title} ${crf ? "with" : "without"} CRF`;
    const image = stack.querySelector(".map");
    image.src = map;
    await image.decode();
    stack.classList.remove("waiting");
    const shown = shares.map((share, index) => [share, index]).filter(([share]) => share > 0).sort((a, b) => b[0] - a[0]);
    stack.setAttribute("aria-label", `${title}: ${shown.map(([share, index]) => `${classes[index]} ${percent(share)} %`).join(", ")}`);
    const link = figure.querySelector(".save");
    link.href = file;
    link.download = `${name.replace(/\.[^.]*$/, "")}-${section.dataset.stage}${crf ? "-crf" : ""}.png`;
    link.hidden = false;
    for (const [share, index] of shown) {
      rows[index].hidden = false;
      rows[index].querySelector(`td[data-stage="${section.dataset.stage}"][data-crf="${Number(crf)}"]`).textContent = percent(share);
    }
    pictures.push({ stage: section.dataset.title, stack, colours: pixels(image), scores: decoded(answer.scores) });
  }
}

// the colours of a label map, which tell its classes: the browser hands out no palette's indices
function pixels(image) {
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  return { width: canvas.width, height: canvas.height, at: (x, y) => [...context.getImageData(x, y, 1, 1).data] };
}

function decoded(scores) {
  return { ...scores, values: Uint8Array.from(atob(scores.values), (letter) => letter.charCodeAt(0)) };
}

const colours = rows.map((row) => {
  const [, red, green, blue] = row.querySelector("rect").getAttribute("fill").match(/^#(..)(..)(..)$/);
  return [red, green, blue].map((part) => parseInt(part, 16)).join();
});

// background is transparent, and a browser may give its pixels any colour
function class_at({ colours: map }) {
  const [red, green, blue, alpha] = map.at(Math.floor(point[0] * map.width), Math.floor(point[1] * map.height));
  return classes[alpha ? colours.indexOf([red, green, blue].join()) : 0] ?? "";
}

function said_by_net({ scores }) {
  const cell = Math.floor(point[1] * scores.height) * scores.width + Math.floor(point[0] * scores.width);
  const likely = classes.map((name, index) => [scores.values[cell * classes.length + index] / 255, name])
    .sort((a, b) => b[0] - a[0]).slice(0, 3).filter(([value]) => value >= 0.01)
    .map(([value, name]) => `${name} ${Math.round(100 * value)} %`).join(", ");
  return `${likely}${scores.calibrated ? "" : " (not calibrated)"}`;
}

function point_at([x, y]) {
  point = [Math.min(0.999, Math.max(0, x)), Math.min(0.999, Math.max(0, y))];
  const lines = new Map();
  for (const picture of pictures) {
    const cross = picture.stack.querySelector(".cross"), here = class_at(picture);
    cross.hidden = false;
    cross.style.left = `${100 * point[0]}%`;
    cross.style.top = `${100 * point[1]}%`;
    cross.dataset.class = here;
    cross.classList.toggle("left", point[0] > 0.6);
    lines.set(picture.stage, [...(lines.get(picture.stage) ?? [picture.stage]), here]);
  }
  for (const picture of pictures) if (lines.get(picture.stage).length === 3) lines.get(picture.stage).push(said_by_net(picture));
  byId("pointer").querySelector("tbody").replaceChildren(...[...lines.values()].map((texts) => {
    const row = document.createElement("tr");
    row.append(...texts.map((text, place) => {
      const element = document.createElement(place ? "td" : "th");
      if (!place) element.scope = "row";
      element.textContent = text;
      return element;
    }));
    return row;
  }));
  byId("pointer").hidden = !pictures.length;
}

for (const stack of document.querySelectorAll(".stage .stack")) {
  stack.addEventListener("pointermove", (event) => {
    const box = stack.getBoundingClientRect();
    if (pictures.length) point_at([(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height]);
  });
  stack.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-0.02, 0], ArrowRight: [0.02, 0], ArrowUp: [0, -0.02], ArrowDown: [0, 0.02] }[event.key];
    if (!step || !pictures.length) return;
    event.preventDefault();
    point_at([point[0] + step[0], point[1] + step[1]]);
  });
}

byId("opacity").addEventListener("input", () => {
  byId("opacity-value").textContent = `${byId("opacity").value} %`;
  for (const map of document.querySelectorAll(".stack .map")) map.style.opacity = byId("opacity").value / 100;
});
byId("file").addEventListener("change", () => {
  if (byId("file").files.length) show(byId("file").files[0]);
  byId("file").value = "";          // the same file can be chosen again
});
document.addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("over"); });
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("over"); });
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  const files = event.dataTransfer.files;
  if (files.length) show(files[0]);
  else say("that was no file; save the picture first, then drop its file here");
});
document.addEventListener("paste", (event) => {
  if (event.clipboardData.files.length) show(event.clipboardData.files[0]);
});

// The page: puts viewer, tools, panels and server together.

import { advice, events, get, insist, post, Refused } from "./api.js";
import { css, firstColours, labelColour } from "./colours.js";
import { KEYS, keyTable } from "./keys.js";
import { $, element, showChannels, showCurve, showImages, showState, slider, toast } from "./panels.js";
import { askForMeaning } from "./meaning.js";
import { askForMinutes, showLinks, showRun } from "./run.js";
import { editOf, icon, thinned, TOOLS } from "./tools.js";
import { Viewer } from "./viewer.js";

const look = { channels: [], labels: 0.42, predicted: 0.95, gamma: 1, heat: false, numbered: true, showLabels: true, showPredicted: true };
const page = { project: null, image: null, tool: "brush", radius: 6, label: 1, over: false, scores: [], state: { state: "starting" } };
const YOUNG = 60;
const viewer = new Viewer($("canvas"), look);
let queue = Promise.resolve();  // edits go one after the other
let unsent = 0, late = false;

// ---- opening

async function start() {
  await showProject();
  const wanted = Number(sessionStorage.getItem("image") || 0);
  await open(page.project.images[wanted] ? wanted : 0);
}

async function showProject() {
  page.project = await get("project");
  page.scores = page.project.scores;
  page.state = page.project.training;
  look.numbered = page.project.settings.kind === "objects";
  document.title = `${page.project.name} – biounet`;
  $("project").textContent = page.project.name;
  showTools();
  showMeaning();
  showLinks();
  showRun(page.project.run);
  showSide();
  showCurve(page.scores);
  showState(page.state);
  grew(page.state.step);
}

async function open(number) {
  const seen = { image: page.image?.image, channels: look.channels };
  $("toast").hidden = true;
  try {
    page.image = await get(`images/${number}`);
    page.project.images[number].broken = false;
  } catch (error) {
    if (error instanceof Refused) page.project.images[number].broken = true;
    toast(error.message, "problem");
    showSide();
    return;
  }
  sessionStorage.setItem("image", number);
  const same = seen.channels.length === page.image.ranges.length;
  const colours = firstColours(page.image.ranges.length);
  look.channels = page.image.ranges.map(([low, high], index) => ({
    number: index, low, high, first: [low, high], on: same ? seen.channels[index].on : true, colour: same ? seen.channels[index].colour : colours[index],
  }));
  if (page.image.ranges.length === 3 && page.image.bytes === 1) for (const channel of look.channels) [channel.low, channel.high] = channel.first = [0, 255];
  viewer.fitted = false;
  viewer.open(page.image);
  showSide();
  showImages(page.project.images, page.image.image, open);
  showSliders();
  showStrip();
}

// ---- edits

function edit(change, shown) {
  const { image } = page;
  if (!image) return;
  if (shown) viewer.pending.push(shown);
  const plane = [...viewer.plane];
  unsent++;
  queue = queue.then(async () => {
    try {
      took(image, await insist(`images/${image.image}/edits`, { ...change, plane, version: image.version }, (error) => {
        const why = error.status === 507 ? `${error.message}.` : advice(error);
        toast(`Your last change is not saved yet, and stays in this page until it is: leave the page open. ${why}`, "problem");
        late = true;
      }));
      if (late && unsent === 1) {
        toast("All that you drew is saved.");
        late = false;
      }
    } catch (error) {
      await failed(error, image);
    }
    unsent--;
    settled().then(() => {
      viewer.pending = viewer.pending.filter((each) => each !== shown);
      viewer.redraw();
    });
  });
}

addEventListener("beforeunload", (event) => { if (unsent) event.preventDefault(); });

async function swap(name) {
  const { image } = page;
  if (!image) return;
  queue = queue.then(async () => {
    if (!image[name]) return toast(`There is nothing to ${name}.`);
    try {
      took(image, await post(`images/${image.image}/${name}`, { version: image.version }));
    } catch (error) {
      await failed(error, image);
    }
  });
}

// Labels have changed, here or elsewhere; of an edit of our own we hear twice.
function took(image, { version, plane, tiles, finished, undo, redo }) {
  if (version <= image.version) return;
  Object.assign(image, { version, finished, undo, redo });
  if (image !== page.image) return;
  viewer.tiles.forget("labels", plane, tiles);
  showStrip();
}

async function failed(error, image) {
  toast(error.message, "problem");
  if (error instanceof Refused && error.status === 409) await refresh(image).catch(() => {});
}

// Show an image as it is on the server, where others may have changed it.
async function refresh(image) {
  const { version, finished, undo, redo } = await get(`images/${image.image}`);
  Object.assign(image, { version, finished, undo, redo });
  if (image !== page.image) return;
  viewer.tiles.forget();
  viewer.onview();
  showStrip();
}

// Until tiles that have changed are there; not for ever.
async function settled() {
  for (let i = 0; i < 400 && viewer.busy; i++) await new Promise((done) => setTimeout(done, 25));
}

function view() {
  const box = viewer.box();
  return box && { box };
}

const actions = {
  accept: () => view() && edit({ kind: "accept", ...view() }),
  finishView: () => view() && edit({ kind: "finish", ...view() }),
  finishImage: () => edit({ kind: "finish" }),
  reopen: () => view() && edit({ kind: "reopen", ...view() }),
  undo: () => swap("undo"),
  redo: () => swap("redo"),
};

// ---- pointer

const canvas = $("canvas");
const at = (event) => {
  const box = canvas.getBoundingClientRect();
  return [event.clientY - box.top, event.clientX - box.left];
};
let drag = null, space = false;

function toolColour() {
  if (page.tool === "background") return css(labelColour(0, true));
  if (page.tool === "erase") return "#ffffff";
  if (page.tool === "brush" || page.tool === "outline") return look.numbered ? "#3fc99c" : css(labelColour(page.label, false));
  return "#ffd24d";
}

function cursor(point) {
  const tool = TOOLS.find((each) => each.id === page.tool);
  page.pointer = point;
  viewer.cursor = point && page.tool !== "pan" ? { point, radius: page.radius, colour: toolColour(), round: tool.round } : null;
  viewer.redraw();
}

function begin(point) {
  const tool = TOOLS.find((each) => each.id === page.tool);
  viewer.stroke = { points: [point], radius: page.radius, colour: toolColour(), filled: page.tool === "outline", thin: !tool.round };
}

function end() {
  const { stroke } = viewer;
  viewer.stroke = null;
  if (!stroke) return;
  const points = thinned(stroke.points);
  const change = editOf(page.tool, points, { ...page, numbered: look.numbered });
  if (change) edit(change, stroke);
  else viewer.redraw();
}

canvas.addEventListener("contextmenu", (event) => event.preventDefault());
canvas.addEventListener("pointerdown", (event) => {
  if (!page.image) return;
  canvas.focus();
  canvas.setPointerCapture(event.pointerId);
  if (event.button !== 0 || space || page.tool === "pan") drag = at(event);
  else begin(viewer.toImage(at(event)));
  viewer.redraw();
});
canvas.addEventListener("pointermove", (event) => {
  if (!page.image) return;
  const here = at(event);
  if (drag) {
    viewer.pan(here[0] - drag[0], here[1] - drag[1]);
    drag = here;
  } else if (viewer.stroke) {
    for (const each of event.getCoalescedEvents?.() || [event]) viewer.stroke.points.push(viewer.toImage(at(each)));
  }
  cursor(viewer.toImage(here));
});
canvas.addEventListener("pointerup", (event) => {
  drag = null;
  viewer.stroke?.points.push(viewer.toImage(at(event)));  // no movement may have been told since
  end();
});
canvas.addEventListener("pointercancel", () => { drag = viewer.stroke = null; viewer.redraw(); });
canvas.addEventListener("pointerleave", () => cursor(null));
canvas.addEventListener("wheel", (event) => {
  if (!page.image) return;
  event.preventDefault();
  if (event.shiftKey) setRadius(page.radius * (event.deltaY + event.deltaX < 0 ? 1.12 : 1 / 1.12));
  else viewer.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), at(event));
}, { passive: false });

// ---- keys

function setTool(id) {
  page.tool = id;
  for (const button of document.querySelectorAll("#tools button[data-tool]")) button.setAttribute("aria-pressed", button.dataset.tool === id);
  const tool = TOOLS.find((each) => each.id === id);
  $("tools").querySelector(".hint").textContent = look.numbered ? tool.hint : tool.ofClasses ?? tool.hint;
  canvas.style.cursor = id === "pan" ? "grab" : "none";
  cursor(viewer.cursor?.point);
}

function setRadius(radius) {
  page.radius = Math.min(Math.max(radius, 0.5), 200);
  $("size").value = Math.sqrt(page.radius);
  $("sizeText").textContent = `${(2 * page.radius).toFixed(page.radius < 5 ? 1 : 0)} px`;
  if (viewer.cursor) cursor(viewer.cursor.point);
}

function plane(axis, step) {
  const most = [page.image.sizes.T, page.image.sizes.Z][axis];
  const next = Math.min(Math.max(viewer.plane[axis] + step, 0), most - 1);
  if (next === viewer.plane[axis]) return;
  viewer.plane = [...viewer.plane];
  viewer.plane[axis] = next;
  viewer.onview();
  viewer.redraw();
  showStrip();
}

async function next() {
  try {
    const { image, plane: where, box } = await get(`doubtful?image=${page.image.image}`);
    if (image !== page.image.image) await open(image);
    viewer.plane = where;
    viewer.goTo(box);
    showStrip();
  } catch (error) {
    toast(error.message);
  }
}

function step(by) {
  const number = page.image.image + by;
  if (page.project.images[number]) open(number);
}

// The keyboard has a pointer of its own: Alt and arrows move it, Enter presses and lifts it.
function steer(dy, dx) {
  const box = viewer.box();
  const point = viewer.cursor?.point || [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
  const moved = [point[0] + dy * Math.max(1, page.radius / 2), point[1] + dx * Math.max(1, page.radius / 2)];
  if (viewer.stroke) viewer.stroke.points.push(moved);
  cursor(moved);
}

function press() {
  if (viewer.stroke) return end();
  steer(0, 0);
  begin(viewer.cursor.point);
  const clicks = ["right", "delete"].includes(page.tool);
  if (clicks) end();
  else viewer.redraw();
}

const commands = {
  ...actions, next, press,
  help: () => $("keys").showModal(),
  larger: () => setRadius(page.radius * 1.2),
  smaller: () => setRadius(page.radius / 1.2),
  closer: () => viewer.zoom(1.25),
  farther: () => viewer.zoom(0.8),
  whole: () => viewer.fit(),
  up: () => viewer.pan(60, 0), down: () => viewer.pan(-60, 0), left: () => viewer.pan(0, 60), right: () => viewer.pan(0, -60),
  steerUp: () => steer(-1, 0), steerDown: () => steer(1, 0), steerLeft: () => steer(0, -1), steerRight: () => steer(0, 1),
  nextImage: () => step(1), previousImage: () => step(-1),
  deeper: () => plane(1, 1), higher: () => plane(1, -1), later: () => plane(0, 1), earlier: () => plane(0, -1),
  showLabels: () => { look.showLabels = !look.showLabels; viewer.redraw(); showSliders(); },
  showPredicted: () => { look.showPredicted = !look.showPredicted; viewer.redraw(); showSliders(); },
  heat: () => { look.heat = !look.heat; viewer.tiles.recolour(); showSliders(); },
  pause: () => $("pause").click(),
  letGo: () => { viewer.stroke = null; viewer.redraw(); },
};

addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open]") || event.target.matches("input[type=text], input[type=number], select")) return;
  if (event.key === " " && !event.target.matches("button")) { space = true; event.preventDefault(); return; }
  const words = [event.ctrlKey || event.metaKey ? "Ctrl" : "", event.altKey ? "Alt" : "", event.shiftKey && event.key.length > 1 ? "Shift" : "", event.key.length === 1 && (event.ctrlKey || event.metaKey) && event.shiftKey ? "Shift" : "", event.key.length === 1 && (event.ctrlKey || event.metaKey) ? event.key.toLowerCase() : event.key];
  const pressed = words.filter(Boolean).join("+");
  if (event.target.matches("input[type=range]") && pressed.startsWith("Arrow")) return;
  if (pressed === "Enter" && event.target.matches("button")) return;
  const tool = TOOLS.find((each) => each.key === pressed);
  if (tool && (look.numbered || !tool.numbered)) return setTool(tool.id);
  if (!look.numbered && /^[1-9]$/.test(pressed) && page.project.settings.classes[Number(pressed)]) {
    page.label = Number(pressed);
    return showTools();
  }
  const found = KEYS.find((each) => each.keys.includes(pressed));
  if (!found || !page.image) return;
  event.preventDefault();
  commands[found.command]();
});
addEventListener("keyup", (event) => { if (event.key === " ") space = false; });
addEventListener("blur", () => { space = false; });

// ---- what is shown around the image

function showTools() {
  const tools = TOOLS.filter((tool) => look.numbered || !tool.numbered);
  const size = element("input", { type: "range", id: "size", min: 0.7, max: 14, step: 0.05, "aria-label": "size of the brush", title: "Size of the brush ( [ and ] )", oninput: () => setRadius(size.value ** 2) });
  const classes = look.numbered ? [] : page.project.settings.classes.map((name, index) => index === 0 ? null : element("button", {
    class: "class", "aria-pressed": String(page.label === index), title: `${name} (${index})`, onclick: () => { page.label = index; showTools(); },
  }, element("i"), name));
  for (const [index, button] of classes.entries()) if (button) button.querySelector("i").style.background = css(labelColour(index, false));
  $("tools").replaceChildren(
    ...tools.map((tool) => element("button", { "data-tool": tool.id, title: `${tool.hint} (${tool.key.toUpperCase()})`, "aria-label": tool.name, onclick: () => setTool(tool.id) }, icon(tool.icon), element("span", {}, tool.name))),
    element("label", { class: "size" }, size, element("span", { id: "sizeText" })),
    ...classes.filter(Boolean), element("p", { class: "hint" }));
  $("actions").replaceChildren(
    element("button", { id: "undo", title: "Undo (Ctrl+Z)", onclick: actions.undo }, "Undo"),
    element("button", { id: "redo", title: "Redo (Ctrl+Y)", onclick: actions.redo }, "Redo"),
    element("span", { class: "gap" }),
    element("button", { id: "accept", title: "Take over what is predicted in view, where nothing is drawn (A)", onclick: actions.accept }, "Accept view"),
    element("button", { id: "finishView", title: "Everything in view is drawn; what is left is background (F)", onclick: actions.finishView }, "View is finished"),
    element("button", { id: "finishImage", class: "main", title: "Everything in this image is drawn; what is left is background (Shift+F)", onclick: actions.finishImage }, "Image is finished"));
  setTool(page.tool);
  setRadius(page.radius);
}

// Labels mean something else now.
function meant({ settings }) {
  page.project.settings = settings;
  look.numbered = settings.kind === "objects";
  if (!TOOLS.some((tool) => tool.id === page.tool && (look.numbered || !tool.numbered))) page.tool = "brush";
  page.label = Math.min(page.label, settings.classes.length - 1);
  showTools();
  showMeaning();
  viewer.tiles.recolour();
}

function showMeaning() {
  const { kind, classes } = page.project.settings;
  $("meaning").textContent = kind === "objects" ? "labels are objects" : `labels are ${classes.length} classes`;
}

function showSide() {
  showImages(page.project.images, page.image?.image, open);
}

function showSliders() {
  const recolour = () => viewer.tiles.recolour();
  const check = (label, name, key) => {
    const box = element("input", { type: "checkbox", onchange: () => { look[name] = box.checked; recolour(); } });
    box.checked = look[name];
    return element("label", { class: "check" }, box, label, key ? element("kbd", {}, key) : null);
  };
  $("sliders").replaceChildren(
    element("div", { class: "row" }, check("Drawn", "showLabels", "L"), slider("", { min: 0, max: 1, step: 0.02, value: look.labels, title: "opacity of what is drawn", onchange: (value) => { look.labels = value; recolour(); } })),
    element("div", { class: "row" }, check("Predicted", "showPredicted", "P"), slider("", { min: 0, max: 1, step: 0.02, value: look.predicted, title: "opacity of what is predicted", onchange: (value) => { look.predicted = value; recolour(); } })),
    check("as probability", "heat", "V"),
    ...(page.image ? showChannels(look, page.image.bytes, recolour) : []));
}

function showWhere(point) {
  const [y, x] = (point ?? [-1, -1]).map(Math.floor);
  const [height, width] = viewer.size;
  const inside = y >= 0 && x >= 0 && y < height && x < width;
  const label = inside ? viewer.tiles.at("labels", viewer.plane, y, x, viewer.level) : undefined;
  const name = label === undefined ? "" : label < 0 ? "unknown" : label === 0 ? "background" : look.numbered ? `object ${label}` : page.project.settings.classes[label] ?? `class ${label}`;
  $("where").textContent = inside ? `y ${y}, x ${x}${name ? ` · ${name}` : ""}` : "";
}

function showStrip() {
  const { T, Z } = page.image.sizes;
  const axis = (name, index, most, less, more) => most > 1 ? element("span", { class: "axis" },
    element("button", { title: less, onclick: () => plane(index, -1) }, "‹"), `${name} ${viewer.plane[index] + 1} / ${most}`,
    element("button", { title: more, onclick: () => plane(index, 1) }, "›")) : null;
  $("planes").replaceChildren(...[axis("time", 0, T, "earlier ( , )", "later ( . )"), axis("slice", 1, Z, "higher (PageUp)", "deeper (PageDown)")].filter(Boolean));
  $("zoom").textContent = `${Math.round(100 * viewer.scale)} %`;
  $("undo").disabled = !page.image.undo;
  $("redo").disabled = !page.image.redo;
}

// Of a network that began at random and had few updates, objects are noise: its probability is shown.
function grew(step) {
  const young = look.numbered && !page.state.trained && step < YOUNG;
  if (young === look.young) return;
  look.young = young;
  viewer.tiles.recolour();
}

viewer.onframe = () => showWhere(page.pointer);

let told;
viewer.onview = () => {
  $("zoom").textContent = `${Math.round(100 * viewer.scale)} %`;
  clearTimeout(told);
  told = setTimeout(() => {
    const box = viewer.box();
    if (box && page.image) post("look", { image: page.image.image, plane: viewer.plane, box }).catch(() => {});
  }, 200);
};

// ---- the server

function hear(event) {
  const mine = page.image?.image === event.image;
  if (event.event === "labels") {
    const summary = page.project.images[event.image];
    Object.assign(summary, event.summary);
    showSide();
    if (mine) took(page.image, event);
  } else if (event.event === "prediction") {
    page.project.images[event.image].doubt = event.doubt;
    showSide();
    grew(event.step);
    if (mine) viewer.tiles.forget("predicted", event.plane);
    document.body.dataset.step = event.step;
  } else if (event.event === "state" || event.event === "step") {
    Object.assign(page.state, event);
    showState(page.state);
  } else if (event.event === "score") {
    page.scores.push(event);
    showCurve(page.scores);
  } else if (event.event === "run") {
    showRun(event);
  } else if (event.event === "project") {
    meant(event);
  } else if (event.event === "levels") {
    if (mine) {
      page.image.overview = event.share >= 1;
      toast(event.share < 1 ? `The overview of this large image is being made: ${Math.round(100 * event.share)} %. Until then zoom out only a little.` : "The overview is ready: press 0 to see the whole image.");
      viewer.redraw();
    }
  } else if (event.event === "problem") toast(event.text, "problem");
}

let away = false;
async function connection(there, error) {
  if (!there) {
    away = true;
    showState({ ...page.state, state: "away", text: `${advice(error)} Nothing that you drew is lost.` });
    return;
  }
  if (!away) return;
  await showProject();
  if (page.image) await refresh(page.image);
  away = false;
}

$("pause").addEventListener("click", () => post("training", { pause: !["paused", "ended"].includes(page.state.state) }).catch((error) => toast(error.message, "problem")));
$("finish").addEventListener("click", askForMinutes);
$("meaning").addEventListener("click", () => askForMeaning(page.project, meant));
$("next").addEventListener("click", next);
$("help").addEventListener("click", () => $("keys").showModal());
keyTable($("keys"), TOOLS);

start().then(() => events(hear, connection)).catch((error) => {
  $("empty").hidden = false;
  $("empty").textContent = error.message;
});

window.biounet = { viewer, page, look };  // for tests, and for the curious

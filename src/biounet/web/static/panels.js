// Panels beside the image: list of images, state of the network, curve, sliders. Text is set as text, never as markup.

import { channelNames } from "./colours.js";

export const $ = (id) => document.getElementById(id);

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== undefined && value !== null) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

let hidden;
export function toast(text, kind = "note") {
  const box = $("toast");
  box.textContent = text;
  box.className = kind;
  box.hidden = false;
  clearTimeout(hidden);
  hidden = setTimeout(() => { box.hidden = true; }, kind === "note" ? 3500 : 9000);
}

const STATES = { new: "not begun", begun: "begun", finished: "finished" };

export function showImages(images, current, open) {
  const list = $("images");
  const scroll = list.scrollTop;
  list.replaceChildren(...images.map((image) => {
    const doubt = image.state !== "finished" && image.doubt !== undefined ? `${Math.round(100 * image.doubt)} % doubt` : "";
    const detail = image.broken ? "cannot be read" : image.state === "begun" && image.share > 0 ? `${Math.round(100 * image.share)} % finished` : STATES[image.state];
    return element("button", {
      class: `image ${image.state}`, "aria-current": image.image === current ? "true" : false,
      title: image.name, onclick: () => open(image.image),
    }, element("i", { class: "dot" }), element("span", { class: "name" }, image.name),
    element("span", { class: "detail" }, [detail, doubt].filter(Boolean).join(" · ")));
  }));
  list.scrollTop = scroll;
  const finished = images.filter((image) => image.state === "finished").length;
  $("summary").textContent = `${images.length} image${images.length === 1 ? "" : "s"}, ${finished} finished`;
}

const WORDS = {
  starting: ["starting", ""],
  waiting: ["waiting", "warn"],
  showing: ["ready", ""],
  learning: ["learning", ""],
  resting: ["resting", "done"],
  paused: ["paused", "warn"],
  finishing: ["finishing", ""],
  ended: ["stopped", "warn"],
  away: ["not connected", "warn"],
};

export function showState({ state, text, step, loss, seconds }) {
  const [word, kind] = WORDS[state] || [state, ""];
  $("state").textContent = word;
  $("state").className = `state ${kind}`;
  const advice = {
    resting: "It has learnt what is drawn. Correct something, and it goes on.",
    starting: "The network is being loaded.",
  }[state];
  $("advice").textContent = text || advice || "";
  $("advice").hidden = !$("advice").textContent;
  $("pause").textContent = { paused: "Go on", ended: "Start again" }[state] || "Pause";
  $("facts").replaceChildren(...(step ? [
    element("div", {}, element("dt", {}, "updates"), element("dd", {}, step.toLocaleString("en"))),
    element("div", {}, element("dt", {}, "loss"), element("dd", {}, Number.isFinite(loss) ? loss.toFixed(3) : "–")),
    element("div", {}, element("dt", {}, "learning for"), element("dd", {}, duration(seconds || 0))),
  ] : []));
}

export function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

const SVG = "http://www.w3.org/2000/svg";

function svg(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// How well predictions agreed with what was then drawn: dots are strokes, the line is whole regions.
export function showCurve(scores) {
  const figure = $("curve");
  const value = (row) => row.kind === "finish" ? row.ap ?? row.dice : row.right;
  const all = scores.filter((row) => value(row) !== undefined);
  if (!all.length) {
    figure.replaceChildren(element("figcaption", {}, "Each prediction is scored against what you draw next, before the network has seen it. The curve begins with your first correction."));
    return;
  }
  const regions = all.filter((row) => row.kind === "finish"), strokes = all.filter((row) => row.kind !== "finish");
  let passed = 0;  // seconds; a clock that is set back adds none
  const times = new Map(all.map((row, i) => [row, passed += Math.max(0, row.seconds - (all[i - 1] ?? row).seconds)]));
  const W = 248, H = 112, left = 26, bottom = 16;
  const x = (row) => left + (times.get(row) / Math.max(passed, 60)) * (W - left - 6);
  const y = (share) => 6 + (1 - share) * (H - bottom - 6);
  const picture = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": "Agreement over time" });
  for (const share of [0, 0.5, 1]) {
    picture.append(svg("line", { class: "grid", x1: left, x2: W - 6, y1: y(share), y2: y(share) }));
    picture.append(svg("text", { x: left - 5, y: y(share) + 4, "text-anchor": "end" }, `${100 * share}`));
  }
  for (const row of strokes) picture.append(svg("circle", { class: "stroke", cx: x(row), cy: y(value(row)), r: 2 }));
  if (regions.length) {
    picture.append(svg("polyline", { points: regions.map((row) => `${x(row)},${y(value(row))}`).join(" ") }));
    for (const row of regions) picture.append(svg("circle", { class: "region", cx: x(row), cy: y(value(row)), r: 3 }));
  }
  picture.append(svg("text", { x: left, y: H - 3 }, "first"), svg("text", { x: W - 6, y: H - 3, "text-anchor": "end" }, duration(passed)));
  const recent = strokes.slice(-10);
  const mean = recent.length ? recent.reduce((sum, row) => sum + row.right * row.pixels, 0) / recent.reduce((sum, row) => sum + row.pixels, 0) : null;
  const caption = element("figcaption", {},
    element("span", { class: "key" }, element("i", { class: "line" }), regions.length ? `finished regions: ${Math.round(100 * value(regions[regions.length - 1]))} % ${regions[regions.length - 1].ap === undefined ? "Dice" : "AP"}` : "finished regions: none yet"),
    element("span", { class: "key" }, element("i", { class: "point" }), mean === null ? "strokes: none yet" : `strokes: ${Math.round(100 * mean)} % were right before`));
  figure.replaceChildren(picture, caption);
}

export function slider(label, { min, max, step, value, onchange, title }) {
  const input = element("input", { type: "range", min, max, step, value, title, "aria-label": label, oninput: () => onchange(Number(input.value)) });
  return element("label", { class: "slider" }, element("span", {}, label), input);
}

export function showChannels(look, bytes, change) {
  const top = bytes === 1 ? 255 : 65535;
  return look.channels.map((channel) => {
    const span = Math.min(top, Math.max(channel.first[1] * 1.6, channel.first[0] + 10));
    const name = look.channels.length > 1 ? `Channel ${channel.number + 1}` : "Image";
    const on = element("input", { type: "checkbox", "aria-label": `show ${name}`, onchange: () => { channel.on = on.checked; change(); } });
    on.checked = channel.on;
    const colour = element("select", { "aria-label": `colour of ${name}`, onchange: () => { channel.colour = colour.value; change(); } },
      ...channelNames.map((each) => element("option", { value: each, selected: each === channel.colour }, each)));
    const low = slider("dark", { min: 0, max: span, step: span / 250, value: channel.low, onchange: (value) => { channel.low = Math.min(value, channel.high - span / 250); change(); } });
    const high = slider("bright", { min: 0, max: span, step: span / 250, value: channel.high, onchange: (value) => { channel.high = Math.max(value, channel.low + span / 250); change(); } });
    return element("div", { class: "channel" }, element("div", { class: "row" }, element("label", { class: "check" }, on, name), colour), low, high);
  });
}

"use strict";
// Zoom, slider through sections, and what lies under the pointer. Without this script the page shows all of it but that.
const UNKNOWN = 0xffffff;

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const code = button.previousElementSibling;
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {                                  // a page from a file may not write to the clipboard
      const range = document.createRange();
      range.selectNodeContents(code);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      document.execCommand("copy");
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
}

for (const scroll of document.querySelectorAll(".scroll")) {
  const hint = () => scroll.classList.toggle("more", scroll.scrollWidth - scroll.clientWidth - scroll.scrollLeft > 4);
  scroll.addEventListener("scroll", hint);
  addEventListener("resize", hint);
  for (const fold of document.querySelectorAll("details")) fold.addEventListener("toggle", hint);
  hint();
}

for (const plane of document.querySelectorAll(".plane")) follow(plane);

function follow(plane) {
  const stage = plane.querySelector(".stage"), sheet = plane.querySelector(".sheet"), figure = plane.closest(".picture");
  const told = JSON.parse(figure.dataset.told), view = { scale: 1, x: 0, y: 0 }, count = +plane.style.getPropertyValue("--count");
  let at = +plane.style.getPropertyValue("--at"), drag = null, pinch = null;
  const pointers = new Map();

  function show() {
    const { width, height } = stage.getBoundingClientRect();
    view.scale = Math.min(40, Math.max(1, view.scale));
    view.x = Math.min(0, Math.max(width * (1 - view.scale), view.x));
    view.y = Math.min(0, Math.max(height * (1 - view.scale), view.y));
    sheet.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
    stage.classList.toggle("zoomed", view.scale > 1);
  }
  function zoom(factor, x, y) {
    const before = view.scale, box = stage.getBoundingClientRect();
    const px = x === undefined ? box.width / 2 : x - box.left, py = y === undefined ? box.height / 2 : y - box.top;
    view.scale = Math.min(40, Math.max(1, before * factor));
    view.x = px - (px - view.x) * view.scale / before;
    view.y = py - (py - view.y) * view.scale / before;
    show();
  }
  function all() { Object.assign(view, { scale: 1, x: 0, y: 0 }); show(); }
  function large(on) {
    plane.classList.toggle("large", on);
    document.body.classList.toggle("under", on);
    plane.querySelector("[data-zoom=large]").textContent = on ? "Close" : "Enlarge";
    all();
  }

  const actions = { in: () => zoom(1.6), out: () => zoom(1 / 1.6), all, large: () => large(!plane.classList.contains("large")) };
  for (const button of plane.querySelectorAll("[data-zoom]")) button.addEventListener("click", actions[button.dataset.zoom]);
  stage.addEventListener("dblclick", (event) => zoom(2, event.clientX, event.clientY));
  stage.addEventListener("wheel", (event) => {
    if (!(event.ctrlKey || event.metaKey || plane.classList.contains("large") || view.scale > 1)) return;
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 300), event.clientX, event.clientY);
  }, { passive: false });
  stage.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key];
    if (event.key === "+" || event.key === "=") zoom(1.6);
    else if (event.key === "-") zoom(1 / 1.6);
    else if (event.key === "0") all();
    else if (moves && view.scale > 1) { view.x += moves[0]; view.y += moves[1]; show(); }
    else return;
    event.preventDefault();
  });
  addEventListener("keydown", (event) => { if (event.key === "Escape" && plane.classList.contains("large")) large(false); });

  stage.addEventListener("pointerdown", (event) => {
    pointers.set(event.pointerId, event);
    if (view.scale > 1) { drag = { x: event.clientX - view.x, y: event.clientY - view.y }; stage.setPointerCapture(event.pointerId); }
  });
  stage.addEventListener("pointermove", (event) => {
    if (pointers.has(event.pointerId)) pointers.set(event.pointerId, event);
    if (pointers.size === 2) {
      const [a, b] = [...pointers.values()], apart = Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
      if (pinch) zoom(apart / pinch, (a.clientX + b.clientX) / 2, (a.clientY + b.clientY) / 2);
      pinch = apart;
    } else if (drag) { view.x = event.clientX - drag.x; view.y = event.clientY - drag.y; show(); }
    tell(event);
  });
  for (const name of ["pointerup", "pointercancel", "pointerleave"]) {
    stage.addEventListener(name, (event) => { pointers.delete(event.pointerId); drag = pinch = null; });
  }

  const slider = plane.querySelector("input[type=range]");
  if (slider) slider.addEventListener("input", () => {
    at = +slider.value;
    plane.style.setProperty("--at", at);
    plane.querySelector("output").textContent = plane.dataset.sections.split(",")[at];
  });

  const sides = {};
  function numbers(side) {                     // pixels of the image whose colours are numbers, read when first asked for
    if (side in sides) return sides[side];
    sides[side] = null;
    const image = sheet.querySelector(`.${side}-numbers`);
    if (!image) return null;
    image.addEventListener("load", () => {
      const canvas = document.createElement("canvas");
      canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.drawImage(image, 0, 0);
      sides[side] = { width: canvas.width, height: canvas.height / count, data: context.getImageData(0, 0, canvas.width, canvas.height).data };
    });
    image.src = image.dataset.src;
    return null;
  }
  function under(side, event) {
    const known = numbers(side);
    if (!known) return null;
    const box = stage.getBoundingClientRect();
    const x = Math.floor((event.clientX - box.left - view.x) / view.scale / box.width * known.width);
    const y = Math.floor((event.clientY - box.top - view.y) / view.scale / box.height * known.height);
    if (x < 0 || y < 0 || x >= known.width || y >= known.height) return null;
    const place = 4 * ((at * known.height + y) * known.width + x);
    return known.data[place] + 256 * known.data[place + 1] + 65536 * known.data[place + 2];
  }
  function tell(event) {
    const line = figure.querySelector(".told"), said = [];
    for (const side of ["expert", "network"]) {
      const number = under(side, event);
      if (number === null) continue;
      if (number === UNKNOWN) said.push(`${side}: not labelled`);
      else if (told.classes) said.push(`${side}: ${told.classes[number] ?? number}`);
      else if (told[side] && told[side][number]) said.push(describe(side, number, told[side][number]));
    }
    if (said.length) line.textContent = said.join("  ·  ");
  }
  function describe(side, number, [size, iou]) {
    const text = `${side}: object ${number}, ${size.toLocaleString("en")} ${figure.dataset.unit}`;
    if (iou < 0) return text;
    return `${text}, ${iou >= 0.5 ? "found" : side === "expert" ? "missed or drawn differently" : "no match"} (IoU ${iou.toFixed(2)})`;
  }
}

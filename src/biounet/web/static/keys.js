// All keys, in one table: what the page obeys and what the help shows.

import { element } from "./panels.js";

export const KEYS = [
  { command: "undo", keys: ["Ctrl+z"], shown: "Ctrl Z", text: "undo" },
  { command: "redo", keys: ["Ctrl+y", "Ctrl+Shift+z"], shown: "Ctrl Y", text: "redo" },
  { command: "smaller", keys: ["["], shown: "[", text: "smaller brush" },
  { command: "larger", keys: ["]"], shown: "]", text: "larger brush" },
  { command: "accept", keys: ["a"], shown: "A", text: "accept what is predicted in view" },
  { command: "finishView", keys: ["f"], shown: "F", text: "view is finished" },
  { command: "finishImage", keys: ["F"], shown: "Shift F", text: "image is finished" },
  { command: "reopen", keys: ["u"], shown: "U", text: "view is not finished after all" },
  { command: "next", keys: ["n"], shown: "N", text: "next doubtful region" },
  { command: "nextImage", keys: ["j"], shown: "J", text: "next image" },
  { command: "previousImage", keys: ["k"], shown: "K", text: "previous image" },
  { command: "deeper", keys: ["PageDown"], shown: "Page down", text: "next slice" },
  { command: "higher", keys: ["PageUp"], shown: "Page up", text: "previous slice" },
  { command: "later", keys: ["."], shown: ".", text: "next time point" },
  { command: "earlier", keys: [","], shown: ",", text: "previous time point" },
  { command: "closer", keys: ["+", "="], shown: "+", text: "zoom in" },
  { command: "farther", keys: ["-"], shown: "−", text: "zoom out" },
  { command: "whole", keys: ["0", "Home"], shown: "0", text: "whole image" },
  { command: "up", keys: ["ArrowUp"], shown: "↑ ↓ ← →", text: "move the image" },
  { command: "down", keys: ["ArrowDown"] },
  { command: "left", keys: ["ArrowLeft"] },
  { command: "right", keys: ["ArrowRight"] },
  { command: "steerUp", keys: ["Alt+ArrowUp"], shown: "Alt ↑ ↓ ← →", text: "move the pointer" },
  { command: "steerDown", keys: ["Alt+ArrowDown"] },
  { command: "steerLeft", keys: ["Alt+ArrowLeft"] },
  { command: "steerRight", keys: ["Alt+ArrowRight"] },
  { command: "press", keys: ["Enter"], shown: "Enter", text: "press the pointer, and lift it" },
  { command: "letGo", keys: ["Escape"], shown: "Esc", text: "cancel the stroke" },
  { command: "showLabels", keys: ["l"], shown: "L", text: "show what is drawn, or not" },
  { command: "showPredicted", keys: ["p"], shown: "P", text: "show what is predicted, or not" },
  { command: "heat", keys: ["v"], shown: "V", text: "prediction as probability" },
  { command: "pause", keys: ["t"], shown: "T", text: "pause the network, or go on" },
  { command: "help", keys: ["?"], shown: "?", text: "this table" },
];

export function keyTable(dialog, tools) {
  const rows = [
    ...tools.map((tool) => [tool.key.toUpperCase(), `${tool.name}: ${tool.hint}`]),
    ["1 – 9", "class to paint, where labels are classes"],
    ["Space", "hold to move the image; so does the right button"],
    ["Shift wheel", "size of the brush"],
    ...KEYS.filter((each) => each.shown).map((each) => [each.shown, each.text]),
  ];
  dialog.replaceChildren(
    element("h2", {}, "Keys"),
    element("dl", { class: "keys" }, ...rows.map(([key, text]) => element("div", {}, element("dt", {}, element("kbd", {}, key)), element("dd", {}, text)))),
    element("form", { method: "dialog", class: "row end" }, element("button", { class: "main" }, "Close")));
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
}

// Finishing a model: how long, how far, and what came of it. And what can be taken away.

import { post, save } from "./api.js";
import { $, duration, element, toast } from "./panels.js";

export function askForMinutes() {
  const dialog = $("ask");
  const choice = element("input", { type: "number", min: 0.05, max: 1440, step: "any", value: 5, id: "minutes" });
  const begin = () => post("training", { finish: Number(choice.value) }).catch((error) => toast(error.message, "problem"));
  dialog.replaceChildren(
    element("h2", {}, "Finish a model"),
    element("p", {}, "An ordinary run of biounet train on all that is drawn: a sixth of the images is held out, the network is calibrated, the rules of objects are tuned, and a report is written. You can go on drawing meanwhile."),
    element("form", { method: "dialog", class: "row end" }, element("label", { class: "row" }, choice, "minutes"), element("span", { class: "gap" }), element("button", { value: "no", formnovalidate: true }, "Not now"), element("button", { class: "main", id: "begin", onclick: begin }, "Begin")));
  dialog.showModal();
}

export function showRun(run) {
  const box = $("run");
  box.hidden = !run;
  $("finish").disabled = Boolean(run && run.share < 1);
  if (!run) return;
  if (run.failed) {
    box.replaceChildren(element("p", { class: "warn" }, `${run.name} did not come to its end: ${run.failed}`));
  } else if (run.share < 1) {
    const bar = element("progress", { value: run.share, max: 1, "aria-label": "progress" });
    const left = run.left === null ? "" : `${duration(run.left)} left`;
    box.replaceChildren(element("div", { class: "row" }, element("b", {}, run.name), bar, element("button", { onclick: () => post("training", { stop: true }).catch(() => {}) }, "Stop")),
      element("p", { class: "soft" }, [left, run.text].filter(Boolean).join(" · ")));
  } else {
    const words = run.finished ? "is finished: model and report lie in the folder, and below." : "was stopped; what it had reached lies in the folder.";
    box.replaceChildren(element("p", {}, element("b", {}, run.name), ` ${words}`), run.lines ? element("details", {}, element("summary", {}, "What it says"), ...run.lines.map((line) => element("p", { class: "soft" }, line))) : "");
  }
}

const FILES = [["labels", "Labels", "All label images, as TIFF"], ["tables", "Tables", "Size, shape, place and intensity of each drawn object"], ["model", "Model", "Of the last finished run; before that, the network as it is"], ["report", "Report", "Of the last finished run"]];

export function showLinks() {
  $("links").replaceChildren(...FILES.map(([what, name, title]) => element("button", {
    title, id: `take-${what}`, onclick: () => {
      toast(`${name}: being made, for download.`);
      save(`download/${what}`).catch((error) => toast(error.message, "problem"));
    },
  }, name)));
}

// What labels mean: objects or classes, and the names of the classes. Asked before anything is drawn.

import { post } from "./api.js";
import { $, element, toast } from "./panels.js";

export function askForMeaning(project, done) {
  const dialog = $("ask");
  const { kind, classes } = project.settings;
  const untouched = project.images.every((image) => image.state === "new");
  const radio = (value, name, text) => {
    const input = element("input", { type: "radio", name: "kind", value, checked: value === kind, disabled: !untouched });
    return element("label", { class: "choice" }, input, element("span", {}, element("b", {}, name), element("br"), text));
  };
  const choice = radio("classes", "Classes", "Kinds of tissue or material: pixels of one class need no borders between them.");
  const names = element("input", { type: "text", oninput: () => { if (untouched) choice.querySelector("input").checked = true; }, value: classes.join(", "), size: 44, "aria-label": "names of the classes, background first" });
  const send = async () => {
    const chosen = dialog.querySelector("input[name=kind]:checked").value;
    const change = chosen === "classes" ? { kind: chosen, classes: names.value.split(",").map((name) => name.trim()).filter(Boolean) } : { kind: chosen };
    try {
      done(await post("project", change));
    } catch (error) {
      toast(error.message, "problem");
    }
  };
  dialog.replaceChildren(
    element("h2", {}, "What do labels mean?"),
    radio("objects", "Objects", "Each cell, nucleus or grain has a number of its own; they are counted and measured."),
    choice,
    element("label", { class: "names" }, "Classes, background first:", names),
    element("p", { class: "soft" }, untouched ? "" : "There are labels already, so that objects stay objects, and classes classes."),
    element("form", { method: "dialog", class: "row end" }, element("button", { value: "no" }, "Cancel"), element("button", { class: "main", onclick: send }, "Save")));
  dialog.showModal();
}

// Tools: what the pointer does on the image. Each makes an edit of the points that it has touched.

export const TOOLS = [
  { id: "brush", key: "b", name: "Brush", icon: "brush", hint: "Paint an object. Begin on one to add to it.", ofClasses: "Paint pixels of the chosen class.", round: true },
  { id: "outline", key: "o", name: "Outline", icon: "outline", hint: "Draw round an object; it is filled.", ofClasses: "Draw round a patch of the chosen class; it is filled." },
  { id: "background", key: "g", name: "Background", icon: "background", hint: "Paint what is no object.", ofClasses: "Paint background, the first of the classes.", round: true },
  { id: "erase", key: "e", name: "Eraser", icon: "erase", hint: "Make pixels unknown again: they teach nothing.", round: true },
  { id: "right", key: "r", name: "Right", icon: "right", hint: "Click a predicted object that is right.", numbered: true },
  { id: "delete", key: "x", name: "Wrong", icon: "delete", hint: "Click an object, drawn or predicted, that is none.", numbered: true },
  { id: "merge", key: "m", name: "Merge", icon: "merge", hint: "Draw from one object to another: they become one.", numbered: true },
  { id: "split", key: "s", name: "Split", icon: "split", hint: "Draw a line through an object: it is cut in two.", numbered: true },
  { id: "pan", key: "h", name: "Move", icon: "pan", hint: "Drag the image. With any tool: hold the space bar, or drag with the right button." },
];

const ICONS = {
  brush: "M14.5 3.5l6 6-9 9-6-6zM5 13l6 6-2 2H3v-6z",
  outline: "M12 4c5 0 8 3 8 8s-4 8-9 8-7-4-7-8 3-8 8-8z",
  background: "M4 4h16v16H4zM4 12L12 4M4 20L20 4M12 20l8-8",
  erase: "M9 20h11M4.5 14.5l9-9 6 6-8.500 8.500h-4z",
  right: "M4 12.500l5.500 5.500L20 6.500",
  delete: "M6 6l12 12M18 6L6 18",
  merge: "M8 12a4 4 0 1 1 0-.01zM20 12a4 4 0 1 1 0-.01zM8 12h8",
  split: "M12 3v18M9 7H4v10h5M15 7h5v10h-5",
  pan: "M12 3v18M3 12h18M12 3l-3 3M12 3l3 3M12 21l-3-3M12 21l3-3M3 12l3-3M3 12l3 3M21 12l-3-3M21 12l-3 3",
};

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

// The edit that a tool makes of the points of a stroke; null if it makes none.
export function editOf(tool, points, { radius, label, over, numbered }) {
  const first = points[0], last = points[points.length - 1];
  switch (tool) {
    case "brush": return { kind: "paint", points, radius, label: numbered ? "under" : label, over };
    case "outline": {
      if (points.length < 3) return null;
      return { kind: "outline", points, label: numbered ? "new" : label, over };
    }
    case "background": return { kind: "paint", points, radius, label: 0, over: true };
    case "erase": return { kind: "paint", points, radius, label: -1, over: true };
    case "right": return { kind: "right", points: [last] };
    case "delete": return { kind: "delete", points: [last] };
    case "merge": return points.length < 2 ? null : { kind: "merge", points: [first, last] };
    case "split": return points.length < 2 ? null : { kind: "split", points, radius: 0.75 };
    default: return null;
  }
}

// Fewer points that make the same line: those closer than a quarter of a pixel, or on a straight line, are left out.
export function thinned(points) {
  const kept = [points[0]];
  for (let i = 1; i < points.length; i++) {
    const [y, x] = points[i], [py, px] = kept[kept.length - 1];
    if (i === points.length - 1 || Math.hypot(y - py, x - px) >= 0.25) kept.push(points[i].map((v) => Math.round(v * 100) / 100));
  }
  const every = Math.ceil(kept.length / 19000);  // the server takes 20,000
  return kept.filter((_, i) => i % every === 0 || i === kept.length - 1);
}

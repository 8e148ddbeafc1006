// Tiles of an image, its labels and its prediction: fetched as integers, drawn as colours here.

import { integers } from "./api.js";
import { channelColour, labelColour } from "./colours.js";

const SIDE = 256;
const KEPT = 600;
const AT_ONCE = 8;

export class Tiles {
  // redraw: called when a tile has come; look: how integers are to become colours
  constructor(redraw, look) {
    this.redraw = redraw;
    this.look = look;
    this.known = new Map();
    this.waiting = [];
    this.running = 0;
    this.revision = 1;
    this.notReady = false;
  }

  open(image) {
    this.image = image;
    this.known.clear();
    this.waiting = [];
    this.abort?.abort();
    this.abort = new AbortController();
    this.notReady = false;
  }

  recolour() {
    this.revision++;
    this.redraw();
  }

  // A canvas with the tile, or undefined as long as it is not there.
  tile(layer, plane, level, row, column) {
    const key = `${layer}/${plane[0]}/${plane[1]}/${level}/${row}/${column}`;
    let entry = this.known.get(key);
    if (!entry) {
      entry = { key, layer, plane, level, row, column, stale: true };
      this.known.set(key, entry);
      this.trim();
    } else {
      this.known.delete(key);
      this.known.set(key, entry);
    }
    if (entry.stale && !entry.asked) {
      entry.asked = true;
      this.waiting.push(entry);
      this.work();
    }
    if (entry.data && entry.revision !== this.revision) this.paint(entry);
    return entry.canvas;
  }

  trim() {
    for (const [key, entry] of this.known) {
      if (this.known.size <= KEPT) break;
      if (!entry.asked) this.known.delete(key);
    }
  }

  // Tiles of full size that have changed; those of smaller levels that show them have, too. Without a layer: all.
  forget(layer, plane, tiles) {
    for (const entry of this.known.values()) {
      if (layer && (entry.layer !== layer || entry.plane[0] !== plane[0] || entry.plane[1] !== plane[1])) continue;
      const touched = !tiles || tiles.some(([row, column]) => row >> entry.level === entry.row && column >> entry.level === entry.column);
      if (touched) {
        entry.stale = true;
        entry.again = entry.asked;
      }
    }
    this.redraw();
  }

  get busy() {
    return this.running + this.waiting.length > 0;
  }

  work() {
    while (this.running < AT_ONCE && this.waiting.length) {
      const entry = this.waiting.pop();  // what was asked for last is on the screen
      this.running++;
      this.load(entry).finally(() => {
        this.running--;
        this.work();
        this.redraw();
      });
    }
  }

  async load(entry) {
    const { layer, plane, level, row, column } = entry;
    const image = this.image;
    const name = { image: "pixels", labels: "labels", predicted: "predicted" }[layer];
    entry.again = false;
    try {
      const path = `images/${image.image}/${name}/${plane[0]}/${plane[1]}/${level}/${row}/${column}`;
      const { buffer, told } = await integers(path, this.abort.signal);
      if (image !== this.image) return;
      const shape = told("shape").split("x").map(Number);
      entry.shape = shape.slice(-2);
      const pixels = entry.shape[0] * entry.shape[1];
      if (layer === "image") {
        entry.channels = shape[0];
        entry.data = told("bytes") === "1" ? new Uint8Array(buffer) : new Uint16Array(buffer);
      } else {
        entry.data = new Int32Array(buffer, 0, pixels);
        if (layer === "predicted") entry.foreground = new Uint8Array(buffer, 4 * pixels);
      }
      entry.stale = entry.again;
      this.paint(entry);
    } catch (error) {
      if (error.status === 425) {
        this.notReady = true;
        setTimeout(() => { entry.asked = false; this.redraw(); }, 700);
        return;
      }
      entry.stale = false;
    }
    entry.asked = false;
  }

  paint(entry) {
    const [height, width] = entry.shape;
    entry.canvas ??= new OffscreenCanvas(width, height);
    const context = entry.canvas.getContext("2d");
    const out = context.createImageData(width, height);
    const painter = { image: paintImage, labels: paintLabels, predicted: paintPredicted }[entry.layer];
    painter(entry, out.data, this.look);
    context.putImageData(out, 0, 0);
    entry.revision = this.revision;
  }

  // Label at a pixel of full size, of what has been fetched at a level; undefined if nothing has.
  at(layer, plane, y, x, level = 0) {
    const [row, column] = [y >> level, x >> level];
    const entry = this.known.get(`${layer}/${plane[0]}/${plane[1]}/${level}/${row >> 8}/${column >> 8}`);
    return entry?.data?.[(row & 255) * entry.shape[1] + (column & 255)];
  }
}

function paintImage(entry, out, look) {
  const { data, channels } = entry;
  const pixels = data.length / channels;
  const shown = look.channels.filter((channel) => channel.on);
  const sums = new Float32Array(3 * pixels);
  for (const channel of shown) {
    const [red, green, blue] = channelColour(channel.colour);
    const scale = 1 / Math.max(channel.high - channel.low, 1e-9);
    const first = channel.number * pixels;
    for (let i = 0; i < pixels; i++) {
      let value = (data[first + i] - channel.low) * scale;
      value = value < 0 ? 0 : value > 1 ? 1 : value;
      if (look.gamma !== 1) value = value ** look.gamma;
      sums[3 * i] += value * red;
      sums[3 * i + 1] += value * green;
      sums[3 * i + 2] += value * blue;
    }
  }
  for (let i = 0; i < pixels; i++) {
    out[4 * i] = sums[3 * i];  // clamped by the array
    out[4 * i + 1] = sums[3 * i + 1];
    out[4 * i + 2] = sums[3 * i + 2];
    out[4 * i + 3] = 255;
  }
}

function paintLabels(entry, out, look) {
  const { data, shape: [height, width] } = entry;
  const fill = 255 * look.labels;
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const label = data[i];
      if (label < 0) continue;
      const [red, green, blue] = labelColour(label, look.numbered);
      let alpha = fill;
      if (label === 0) {
        alpha = (x + y) % 8 < 1 ? fill * 0.55 : fill * 0.3;
      } else if (look.numbered) {
        const edge = (x > 0 && data[i - 1] !== label) || (x + 1 < width && data[i + 1] !== label)
          || (y > 0 && data[i - width] !== label) || (y + 1 < height && data[i + width] !== label);
        if (edge) alpha = Math.min(255, fill * 2.2);
      }
      out.set([red, green, blue, alpha], 4 * i);
    }
  }
}

function paintPredicted(entry, out, look) {
  const { data, foreground, shape: [height, width] } = entry;
  const strength = 255 * look.predicted;
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const label = data[i];
      if (label < 0) continue;
      if (look.heat || look.young) {
        out.set([255, 146, 0, (foreground[i] * strength * 0.8) / 255], 4 * i);
        continue;
      }
      if (label === 0) continue;
      const edge = (x === 0 ? false : data[i - 1] !== label) || (x + 1 < width && data[i + 1] !== label)
        || (y > 0 && data[i - width] !== label) || (y + 1 < height && data[i + width] !== label);
      const [red, green, blue] = look.numbered ? [255, 146, 0] : labelColour(label, false);
      out.set([red, green, blue, edge ? strength : strength * 0.14], 4 * i);
    }
  }
}

export { SIDE };

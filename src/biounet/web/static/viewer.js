// The viewer: a canvas over a pyramid of tiles, which is panned, zoomed, and painted on.

import { SIDE, Tiles } from "./tiles.js";

const CLOSEST = 40;  // screen pixels per pixel

export class Viewer {
  constructor(canvas, look) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.look = look;
    this.tiles = new Tiles(() => this.redraw(), look);
    this.scale = 1;
    this.origin = [0, 0];  // pixel (y, x) at the upper left corner of the canvas
    this.plane = [0, 0];
    this.pending = [];  // strokes that are on their way
    this.frames = 0;
    this.onview = this.onframe = () => {};
    new ResizeObserver(() => this.resize()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
  }

  open(image) {
    this.image = image;
    this.plane = [0, 0];
    this.pending = [];
    this.stroke = null;
    this.tiles.open(image);
    if (image.overview) this.fit();
    else this.closeUp();
  }

  get size() {
    return [this.image.sizes.Y, this.image.sizes.X];
  }

  resize() {
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth, clientHeight } = this.canvas;
    this.ratio = ratio;
    this.width = clientWidth;
    this.height = clientHeight;
    this.canvas.width = Math.round(clientWidth * ratio);
    this.canvas.height = Math.round(clientHeight * ratio);
    if (this.image && !this.fitted) this.open(this.image);
    this.redraw();
    if (this.image) this.onview();
  }

  fit() {
    if (!this.width) return;
    this.fitted = true;
    const [height, width] = this.size;
    const [above, below] = ["tools", "actions"].map((id) => document.getElementById(id).offsetHeight + 24);
    this.scale = Math.min((this.width - 24) / width, (this.height - above - below) / height, 12);
    this.origin = [height / 2 - (this.height + above - below) / 2 / this.scale, width / 2 - this.width / 2 / this.scale];
    this.moved();
  }

  // The middle at full size, as long as there are no smaller copies of a large image.
  closeUp() {
    if (!this.width) return;
    this.fitted = true;
    const [height, width] = this.size;
    this.scale = 1;
    this.origin = [(height - this.height) / 2, (width - this.width) / 2];
    this.moved();
  }

  moved() {
    const [height, width] = this.size;
    const margin = 0.5;
    const rows = this.height / this.scale, columns = this.width / this.scale;
    this.origin[0] = Math.min(Math.max(this.origin[0], -rows * (1 - margin)), height - rows * margin);
    this.origin[1] = Math.min(Math.max(this.origin[1], -columns * (1 - margin)), width - columns * margin);
    this.redraw();
    this.onview();
  }

  // Zoom about a point of the screen.
  zoom(factor, at = [this.height / 2, this.width / 2]) {
    const [height, width] = this.size;
    const least = Math.min(this.width / width, this.height / height, 1) / 3;
    const scale = Math.min(Math.max(this.scale * factor, least), CLOSEST);
    const point = this.toImage(at);
    this.scale = scale;
    this.origin = [point[0] - at[0] / scale, point[1] - at[1] / scale];
    this.moved();
  }

  pan(dy, dx) {
    this.origin = [this.origin[0] - dy / this.scale, this.origin[1] - dx / this.scale];
    this.moved();
  }

  goTo([top, left, bottom, right]) {
    this.scale = Math.min(this.width / (right - left), this.height / (bottom - top), 6) * 0.86;
    this.origin = [(top + bottom) / 2 - this.height / 2 / this.scale, (left + right) / 2 - this.width / 2 / this.scale];
    this.moved();
  }

  toImage([y, x]) {
    return [this.origin[0] + y / this.scale, this.origin[1] + x / this.scale];
  }

  toScreen([y, x]) {
    return [(y - this.origin[0]) * this.scale, (x - this.origin[1]) * this.scale];
  }

  // Region of the image on the screen: top, left, bottom, right; null if the image is out of sight.
  box() {
    const [height, width] = this.size;
    const first = this.toImage([0, 0]), last = this.toImage([this.height, this.width]);
    const box = [Math.max(0, Math.floor(first[0])), Math.max(0, Math.floor(first[1])), Math.min(height, Math.ceil(last[0])), Math.min(width, Math.ceil(last[1]))];
    return box[0] < box[2] && box[1] < box[3] ? box : null;
  }

  // Whether anything on the screen is not yet as it will be.
  get busy() {
    return Boolean(this.asked) || this.tiles.busy;
  }

  get level() {
    const level = Math.floor(Math.log2(1 / (this.scale * this.ratio)) + 0.2);
    return Math.min(Math.max(level, 0), this.image.levels - 1);
  }

  redraw() {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => {
      this.asked = false;
      if (this.image && this.width) this.draw();
    });
  }

  draw() {
    this.frames++;
    const { context, ratio } = this;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = getComputedStyle(this.canvas).getPropertyValue("--canvas");
    context.fillRect(0, 0, this.width, this.height);
    context.imageSmoothingEnabled = this.scale < 1;
    const box = this.box();
    if (!box) return;
    this.drawLayer("image", box);
    if (this.look.showPredicted && this.look.predicted > 0) this.drawLayer("predicted", box);
    if (this.look.showLabels && this.look.labels > 0) this.drawLayer("labels", box);
    this.drawFinished();
    for (const stroke of this.pending) this.drawStroke(stroke);
    if (this.stroke) this.drawStroke(this.stroke);
    if (this.cursor) this.drawCursor();
    this.onframe();
  }

  drawLayer(layer, box) {
    // coarser tiles below, so that there is something until the right ones have come
    const level = this.level;
    if (layer === "image" && level + 2 < this.image.levels) this.drawLevel(layer, box, Math.min(level + 3, this.image.levels - 1));
    this.drawLevel(layer, box, level);
  }

  drawLevel(layer, box, level) {
    const side = SIDE << level;
    const [height, width] = this.size;
    for (let row = Math.floor(box[0] / side); row * side < box[2]; row++) {
      for (let column = Math.floor(box[1] / side); column * side < box[3]; column++) {
        const tile = this.tiles.tile(layer, this.plane, level, row, column);
        if (!tile) continue;
        const [y, x] = this.toScreen([row * side, column * side]);
        const [bottom, right] = this.toScreen([Math.min((row + 1) * side, height), Math.min((column + 1) * side, width)]);
        const snap = (value) => Math.round(value * this.ratio) / this.ratio;
        this.context.drawImage(tile, snap(x), snap(y), snap(right) - snap(x), snap(bottom) - snap(y));
      }
    }
  }

  drawFinished() {
    const { context } = this;
    context.setLineDash([7, 5]);
    context.lineWidth = 2;
    context.strokeStyle = "#4fd1a5";
    for (const [t, z, top, left, bottom, right] of this.image.finished) {
      if (t !== this.plane[0] || z !== this.plane[1]) continue;
      const [y, x] = this.toScreen([top, left]), [y2, x2] = this.toScreen([bottom, right]);
      context.strokeRect(x + 1, y + 1, x2 - x - 2, y2 - y - 2);
    }
    context.setLineDash([]);
  }

  drawStroke({ points, radius, colour, filled, thin }) {
    const { context } = this;
    context.beginPath();
    points.forEach((point, index) => {
      const [y, x] = this.toScreen(point);
      if (index) context.lineTo(x, y);
      else context.moveTo(x, y);
    });
    if (points.length === 1) {
      const [y, x] = this.toScreen(points[0]);
      context.lineTo(x + 0.01, y);
    }
    context.lineCap = context.lineJoin = "round";
    context.strokeStyle = colour;
    context.lineWidth = thin ? 2 : Math.max(2 * radius * this.scale, 1);
    if (filled) {
      context.closePath();
      context.globalAlpha = 0.35;
      context.fillStyle = colour;
      context.fill();
    }
    context.globalAlpha = thin ? 0.95 : 0.6;
    context.stroke();
    context.globalAlpha = 1;
  }

  drawCursor() {
    const { context } = this;
    const { point, radius, colour, round } = this.cursor;
    const [y, x] = this.toScreen(point);
    context.lineWidth = 1.5;
    for (const [style, grow] of [["rgb(0 0 0 / .6)", 1], [colour, 0]]) {
      context.strokeStyle = style;
      context.beginPath();
      if (round) context.arc(x, y, Math.max(radius * this.scale, 2) + grow, 0, 2 * Math.PI);
      else {
        context.moveTo(x - 7, y + grow); context.lineTo(x + 7, y + grow);
        context.moveTo(x + grow, y - 7); context.lineTo(x + grow, y + 7);
      }
      context.stroke();
    }
  }
}

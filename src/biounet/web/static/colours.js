// Colours of channels, objects and classes; all can be told apart without telling red from green.

const CHANNELS = {
  grey: [255, 255, 255], red: [255, 60, 60], green: [70, 220, 110], blue: [90, 130, 255],
  cyan: [60, 220, 235], magenta: [240, 80, 220], yellow: [240, 220, 60],
};

// Of Okabe and Ito 2008, as in report.html, without the orange and the blue that predictions and background have.
const OBJECTS = [[0, 158, 115], [204, 121, 167], [240, 228, 66], [126, 200, 255], [213, 94, 0], [173, 149, 240], [79, 208, 224], [150, 220, 110]];
const CLASSES = [[47, 82, 150], [230, 159, 0], [0, 158, 115], [213, 94, 0], [204, 121, 167], [240, 228, 66], [86, 180, 233], [173, 149, 240], [79, 208, 224]];
const BACKGROUND = [86, 140, 255];

export const channelNames = Object.keys(CHANNELS);

export function channelColour(name) {
  return CHANNELS[name];
}

export function firstColours(count) {
  if (count === 1) return ["grey"];
  if (count === 3) return ["red", "green", "blue"];
  return Array.from({ length: count }, (_, i) => ["green", "magenta", "cyan", "yellow", "red", "blue", "grey"][i % 7]);
}

export function labelColour(label, numbered) {
  if (label === 0) return BACKGROUND;
  if (!numbered) return CLASSES[label % CLASSES.length];
  return OBJECTS[(label * 5 + (label >> 3)) % OBJECTS.length];
}

export const css = ([red, green, blue], alpha = 1) => `rgb(${red} ${green} ${blue} / ${alpha})`;

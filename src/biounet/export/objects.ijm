// Objects from the probabilities of this model, by the rules with which biounet makes them. For Fiji and ImageJ 1.53 or
// later: run the model, click on its output (a channel per class), and run this macro. A megapixel takes about a minute.
requires("1.53a");
// RULES

var n, steps, count, any, elevation, costs, labels, ring, after, before;
setBatchMode(true);
getDimensions(width, height, channels, slices, frames);
if (DIMS == 2 && channels == 1) { channels = slices; slices = 1; }
hyper = Stack.isHyperstack;
W = width + 2; H = height + 2; D = 1;                    // one pixel around the image, which is never foreground
steps = newArray(-W, -1, W, 1);
if (DIMS == 3) { D = slices + 2; steps = newArray(-W * H, -W, -1, W * H, W, 1); }
n = W * H * D;
findElevation();
labels = findSeeds();
if (GROW) grow();
dropSmall();
fillHoles();
show();

function place(x, y, z) {                                // of a pixel in the arrays
    return ((z + (DIMS == 3)) * H + y + 1) * W + x + 1;
}

function findElevation() {                               // 0: background, 1 to 255: how far inside an object
    foreground = newArray(n); inside = newArray(n); elevation = newArray(n);
    for (z = 0; z < slices; z++) for (c = 0; c < channels; c++) {
        if (hyper) Stack.setPosition(c + 1, z + 1, 1); else if (nSlices > 1) setSlice(z * channels + c + 1);
        for (y = 0; y < height; y++) for (x = 0; x < width; x++) {
            i = place(x, y, z); p = getPixel(x, y);
            if (channels <= 2) { foreground[i] = p; inside[i] = p; }
            else if (c == 0) foreground[i] = 1 - p;
            else if (TARGET == "distance") inside[i] = inside[i] + p * c / (channels - 1);
            else if (c == 1) inside[i] = p;
        }
    }
    for (i = 0; i < n; i++)
        if (foreground[i] > FOREGROUND) elevation[i] = 1 + round(254 * minOf(1, maxOf(0, inside[i])));
}

function above(level) {
    mask = newArray(n);
    for (i = 0; i < n; i++) if (elevation[i] >= level && elevation[i] > 0) mask[i] = 1;
    return mask;
}

function pieces(mask) {                                  // numbered in the order of their first pixels
    numbers = newArray(n); waiting = newArray(n); count = 0;
    for (i = 0; i < n; i++) if (mask[i] > 0 && numbers[i] == 0) {
        count = count + 1; numbers[i] = count; waiting[0] = i; top = 1;
        while (top > 0) {
            top = top - 1; j = waiting[top];
            for (s = 0; s < steps.length; s++) {
                k = j + steps[s];
                if (mask[k] > 0 && numbers[k] == 0) {
                    numbers[k] = count; waiting[top] = k; top = top + 1;
                }
            }
        }
    }
    return numbers;
}

function findSeeds() {
    numbers = pieces(above(SEED)); sizes = newArray(count + 1); peaks = newArray(count + 1);
    for (i = 0; i < n; i++) {
        sizes[numbers[i]] = sizes[numbers[i]] + 1;
        if (elevation[i] >= PEAK) peaks[numbers[i]] = 1;
    }
    mask = newArray(n);
    for (i = 0; i < n; i++)
        if (numbers[i] > 0) if (sizes[numbers[i]] >= LEAST_SEED && peaks[numbers[i]] > 0) mask[i] = 1;
    if (SECOND_SEED > 0) {                               // pieces above a lower level in which there is no seed
        numbers = pieces(above(SECOND_SEED)); has = newArray(count + 1);
        for (i = 0; i < n; i++) if (mask[i] > 0) has[numbers[i]] = 1;
        for (i = 0; i < n; i++) if (numbers[i] > 0) if (has[numbers[i]] == 0) mask[i] = 1;
    }
    any = LARGEST_SEED > 0;
    for (level = SEED + STEP; any && level < 255; level = level + STEP) mask = splitLarge(mask, level);
    numbers = pieces(mask);
    return numbers;
}

function splitLarge(mask, level) {                       // seeds that are too large become their parts above a level, if two
    numbers = pieces(mask); higher = newArray(n);        // of these or more are large enough
    sizes = newArray(count + 1); large = newArray(count + 1);
    for (i = 0; i < n; i++) sizes[numbers[i]] = sizes[numbers[i]] + 1;
    any = false;
    for (i = 0; i < n; i++) if (mask[i] > 0) if (sizes[numbers[i]] > LARGEST_SEED) {
        any = true;
        if (elevation[i] >= level) higher[i] = 1;
    }
    if (!any) return mask;
    parts = pieces(higher); pixels = newArray(count + 1);
    for (i = 0; i < n; i++) if (parts[i] > 0) {
        pixels[parts[i]] = pixels[parts[i]] + 1;
        if (pixels[parts[i]] == LEAST_PART) large[numbers[i]] = large[numbers[i]] + 1;
    }
    for (i = 0; i < n; i++) if (mask[i] > 0) if (large[numbers[i]] > 1) {
        mask[i] = 0;
        if (parts[i] > 0) if (pixels[parts[i]] >= LEAST_PART) mask[i] = 1;
    }
    return mask;
}

function grow() {                                        // a watershed: a step costs 1 and every rise of the elevation
    costs = newArray(n); ring = newArray(256); after = newArray(n); before = newArray(n); waiting = 0;
    Array.fill(ring, -1);                                // lists of pixels that wait, one for each cost
    for (i = 0; i < n; i++) {
        before[i] = -2; costs[i] = -1;
        if (labels[i] > 0) costs[i] = 0;
    }
    for (i = 0; i < n; i++) if (labels[i] > 0) { link(i, 0); waiting = waiting + 1; }
    for (cost = 0; waiting > 0; cost++) {
        slot = cost % 256;
        while (ring[slot] >= 0) {
            i = ring[slot]; unlink(i, slot); waiting = waiting - 1;
            for (s = 0; s < steps.length; s++) {
                j = i + steps[s];
                if (elevation[j] > 0) {
                    c = costs[i] + 1 + maxOf(0, elevation[j] - elevation[i]); cheaper = costs[j] < 0 || c < costs[j];
                    if (cheaper || (c == costs[j] && labels[i] < labels[j])) {
                        if (cheaper) {
                            if (before[j] != -2) { unlink(j, costs[j] % 256); waiting = waiting - 1; }
                            link(j, c % 256); waiting = waiting + 1;
                        }
                        costs[j] = c; labels[j] = labels[i];
                    }
                }
            }
        }
    }
}

function link(i, slot) {
    head = ring[slot]; after[i] = head; before[i] = -1; ring[slot] = i;
    if (head >= 0) before[head] = i;
}

function unlink(i, slot) {
    if (before[i] < 0) ring[slot] = after[i]; else after[before[i]] = after[i];
    if (after[i] >= 0) before[after[i]] = before[i];
    before[i] = -2;
}

function dropSmall() {                                   // and number the others in the order of their first pixels
    highest = 0;
    for (i = 0; i < n; i++) highest = maxOf(highest, labels[i]);
    sizes = newArray(highest + 1); numbers = newArray(highest + 1); count = 0;
    for (i = 0; i < n; i++) sizes[labels[i]] = sizes[labels[i]] + 1;
    for (i = 0; i < n; i++) if (labels[i] > 0) {
        label = labels[i];
        if (numbers[label] == 0 && sizes[label] >= LEAST_PIXELS) { count = count + 1; numbers[label] = count; }
        labels[i] = numbers[label];
    }
}

function fillHoles() {                                   // pieces of background with a single object around them
    if (LARGEST_HOLE == 0) return;
    objects = count; mask = newArray(n);
    for (z = 0; z < slices; z++) for (y = 0; y < height; y++) for (x = 0; x < width; x++) {
        i = place(x, y, z);
        if (labels[i] == 0) mask[i] = 1;
    }
    numbers = pieces(mask); sizes = newArray(count + 1); around = newArray(count + 1);    // -1: no hole
    for (i = 0; i < n; i++) if (numbers[i] > 0) {
        hole = numbers[i]; sizes[hole] = sizes[hole] + 1;
        for (s = 0; s < steps.length; s++) {
            j = i + steps[s];
            if (numbers[j] != hole) {
                if (labels[j] == 0 || (around[hole] != 0 && around[hole] != labels[j])) around[hole] = -1;
                else around[hole] = labels[j];
            }
        }
    }
    for (i = 0; i < n; i++) if (numbers[i] > 0) {
        hole = numbers[i];
        if (around[hole] > 0 && (LARGEST_HOLE < 0 || sizes[hole] <= LARGEST_HOLE)) labels[i] = around[hole];
    }
    count = objects;
}

function show() {
    type = "16-bit black"; if (count > 65535) type = "32-bit black";
    newImage("objects", type, width, height, slices);
    for (z = 0; z < slices; z++) {
        setSlice(z + 1);
        for (y = 0; y < height; y++) for (x = 0; x < width; x++) setPixel(x, y, labels[place(x, y, z)]);
    }
    setMinAndMax(0, maxOf(1, count)); run("3-3-2 RGB");
    setBatchMode("exit and display");
    print("" + count + " objects");
}

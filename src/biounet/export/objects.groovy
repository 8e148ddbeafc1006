// Objects from the probabilities of this model, by the rules with which biounet makes them. For QuPath 0.5 or later.
// Either name a pixel classifier that was made of this model (Extensions > Deep Java Library) and is saved in the project,
// or leave the name empty and open the probabilities themselves, a channel per class. Run this script in the script editor.
// What is selected is searched, else the whole image, which has to fit into memory. Objects become detections.
CLASSIFIER = ""

@groovy.transform.CompileStatic
class BiounetObjects {
// RULES
    static int[] pieces(boolean[] mask, int[] steps) {   // numbered in the order of their first pixels
        int[] numbers = new int[mask.length], waiting = new int[mask.length]
        int count = 0
        for (int i = 0; i < mask.length; i++) if (mask[i] && numbers[i] == 0) {
            numbers[i] = ++count
            waiting[0] = i
            int top = 1
            while (top > 0) {
                int j = waiting[--top]
                for (int step : steps) if (mask[j + step] && numbers[j + step] == 0) {
                    numbers[j + step] = count
                    waiting[top++] = j + step
                }
            }
        }
        return numbers
    }

    // Labels [y * width + x] of an image of probabilities [channel][y * width + x], a number for each object.
    static float[] of(float[][] probabilities, int width, int height) {
        int channels = probabilities.length, W = width + 2, n = W * (height + 2)  // one pixel around the image
        int[] steps = [-W, -1, W, 1], elevation = new int[n]
        boolean[] within = new boolean[n]
        for (int y = 0; y < height; y++) for (int x = 0; x < width; x++) {
            int p = y * width + x, i = (y + 1) * W + x + 1
            within[i] = true
            float foreground = channels <= 2 ? probabilities[channels - 1][p] : (float) (1 - probabilities[0][p]), inside = foreground
            if (channels > 2 && TARGET == "border") inside = probabilities[1][p]
            if (channels > 2 && TARGET == "distance") {
                inside = 0
                for (int c = 1; c < channels; c++) inside = (float) (inside + (float) (probabilities[c][p] * (float) (c / (double) (channels - 1))))
            }
            if (foreground > FOREGROUND) elevation[i] = 1 + (int) Math.rint((float) (254 * Math.min(1f, Math.max(0f, inside))))
        }

        // Seeds.
        int[] numbers = pieces(above(elevation, SEED), steps), sizes = new int[n + 1]
        boolean[] peaks = new boolean[n + 1], mask = new boolean[n]
        for (int i = 0; i < n; i++) {
            sizes[numbers[i]]++
            if (elevation[i] >= PEAK) peaks[numbers[i]] = true
        }
        for (int i = 0; i < n; i++) mask[i] = numbers[i] > 0 && sizes[numbers[i]] >= LEAST_SEED && peaks[numbers[i]]
        if (SECOND_SEED > 0) {                               // pieces above a lower level in which there is no seed
            numbers = pieces(above(elevation, SECOND_SEED), steps)
            boolean[] has = new boolean[n + 1]
            for (int i = 0; i < n; i++) if (mask[i]) has[numbers[i]] = true
            for (int i = 0; i < n; i++) if (numbers[i] > 0 && !has[numbers[i]]) mask[i] = true
        }
        int level = SEED + STEP
        while (LARGEST_SEED > 0 && level < 255 && splitLarge(mask, elevation, level, steps)) level += STEP
        int[] labels = pieces(mask, steps)

        // Watershed: a path costs 1 per step and every rise of the elevation; of two seeds as near, the first has the pixel.
        if (GROW) {
            PriorityQueue<BiounetPath> waiting = new PriorityQueue<BiounetPath>()
            long[] best = new long[n]                        // cost, and in the lower half the label
            for (int i = 0; i < n; i++) {
                best[i] = labels[i] > 0 ? labels[i] : Long.MAX_VALUE
                if (labels[i] > 0) waiting.add(new BiounetPath(best[i], i))
            }
            while (!waiting.isEmpty()) {
                BiounetPath next = waiting.poll()
                int i = next.end
                if (next.cost == best[i]) for (int step : steps) {
                    int j = i + step
                    long offer = next.cost + ((1L + Math.max(0, elevation[j] - elevation[i])) << 32)
                    if (elevation[j] > 0 && offer < best[j]) {
                        best[j] = offer
                        waiting.add(new BiounetPath(offer, j))
                    }
                }
            }
            for (int i = 0; i < n; i++) labels[i] = best[i] == Long.MAX_VALUE ? 0 : (int) (best[i] & 0xffffffffL)
        }

        // Small objects go; the others are numbered in the order of their first pixels.
        Arrays.fill(sizes, 0)
        for (int label : labels) sizes[label]++
        int[] renamed = new int[n + 1]
        int count = 0
        for (int i = 0; i < n; i++) if (labels[i] > 0) {
            int label = labels[i]
            if (renamed[label] == 0 && sizes[label] >= LEAST_PIXELS) renamed[label] = ++count
            labels[i] = renamed[label]
        }

        // Holes: pieces of background with a single object around them.
        if (LARGEST_HOLE != 0) {
            for (int i = 0; i < n; i++) mask[i] = within[i] && labels[i] == 0
            int[] holes = pieces(mask, steps), around = new int[n + 1]           // -1: no hole
            Arrays.fill(sizes, 0)
            for (int i = 0; i < n; i++) if (holes[i] > 0) {
                sizes[holes[i]]++
                for (int step : steps) if (holes[i + step] != holes[i]) {
                    int label = labels[i + step], known = around[holes[i]]
                    around[holes[i]] = label == 0 || (known != 0 && known != label) ? -1 : label
                }
            }
            for (int i = 0; i < n; i++)
                if (holes[i] > 0 && around[holes[i]] > 0 && (LARGEST_HOLE < 0 || sizes[holes[i]] <= LARGEST_HOLE)) labels[i] = around[holes[i]]
        }
        float[] result = new float[width * height]
        for (int y = 0; y < height; y++) for (int x = 0; x < width; x++) result[y * width + x] = labels[(y + 1) * W + x + 1]
        return result
    }

    // Seeds that are too large become their parts above a level, if two of these or more are large enough. Whether any was.
    static boolean splitLarge(boolean[] mask, int[] elevation, int level, int[] steps) {
        int n = mask.length
        int[] numbers = pieces(mask, steps), sizes = new int[n + 1], pixels = new int[n + 1], large = new int[n + 1]
        boolean[] higher = new boolean[n]
        boolean any = false
        for (int i = 0; i < n; i++) if (++sizes[numbers[i]] > LARGEST_SEED && mask[i]) any = true
        if (!any) return false
        for (int i = 0; i < n; i++) higher[i] = mask[i] && sizes[numbers[i]] > LARGEST_SEED && elevation[i] >= level
        int[] parts = pieces(higher, steps)
        for (int i = 0; i < n; i++) if (parts[i] > 0 && ++pixels[parts[i]] == LEAST_PART) large[numbers[i]]++
        for (int i = 0; i < n; i++) if (mask[i] && large[numbers[i]] > 1) mask[i] = parts[i] > 0 && pixels[parts[i]] >= LEAST_PART
        return true
    }

    static boolean[] above(int[] elevation, int level) {
        boolean[] mask = new boolean[elevation.length]
        for (int i = 0; i < mask.length; i++) mask[i] = elevation[i] >= level && elevation[i] > 0
        return mask
    }
}

@groovy.transform.CompileStatic
class BiounetPath implements Comparable<BiounetPath> {                 // the cheapest found so far to a pixel
    final long cost
    final int end

    BiounetPath(long cost, int end) {
        this.cost = cost
        this.end = end
    }

    int compareTo(BiounetPath other) {
        return Long.compare(cost, other.cost)
    }
}

// QUPATH
def data = getCurrentImageData()
def server = data.getServer()
if (CLASSIFIER) server = qupath.opencv.ml.pixel.PixelClassifierTools.createPixelClassificationServer(data, loadPixelClassifier(CLASSIFIER))
def roi = getSelectedROI()
def resolution = server.getDownsampleForResolution(0)
def request = roi ? qupath.lib.regions.RegionRequest.createInstance(server.getPath(), resolution, roi) :
    qupath.lib.regions.RegionRequest.createInstance(server, resolution)
def raster = server.readRegion(request).getRaster()
int width = raster.getWidth(), height = raster.getHeight()
float[][] probabilities = new float[raster.getNumBands()][]
for (int c = 0; c < probabilities.length; c++) {
    probabilities[c] = raster.getSamples(0, 0, width, height, c, (float[]) null)
    if (server.getPixelType().isUnsignedInteger()) for (int i = 0; i < probabilities[c].length; i++) probabilities[c][i] /= 255
}
float[] labels = BiounetObjects.of(probabilities, width, height)
int count = (int) labels.max()
def image = qupath.lib.analysis.images.SimpleImages.createFloatImage(labels, width, height)
addObjects(qupath.lib.analysis.images.ContourTracing.createDetections(image, request, 1, count))
println count + " objects"

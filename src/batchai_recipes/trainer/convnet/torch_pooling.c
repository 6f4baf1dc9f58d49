/* Max pooling with rectification, 3 x 3 values to one, every second row and column, of bf16 whose
 * channels lie last, and the gradients. torch_pooling.py compiles and calls it; see there for why.
 *
 * The vectors are those that GCC and Clang have for any processor. The number of channels is a
 * multiple of WIDTH; what the windows leave over at the right and the lower edge is not pooled. */
#include <stdint.h>
#include <string.h>

enum { WIDTH = 16, NOWHERE = 9 }; /* how many values at once; what is no place in a window */

typedef int16_t Values __attribute__((vector_size(2 * WIDTH))); /* bf16 by its bits */
typedef uint16_t Bits __attribute__((vector_size(2 * WIDTH)));
typedef uint8_t Places __attribute__((vector_size(WIDTH)));
typedef int8_t Hits __attribute__((vector_size(WIDTH)));
typedef int32_t Masks __attribute__((vector_size(4 * WIDTH)));
typedef uint32_t Words __attribute__((vector_size(4 * WIDTH)));
typedef float Floats __attribute__((vector_size(4 * WIDTH)));

static int64_t pooled(int64_t length) { return (length - 3) / 2 + 1; }

/* x: images, height, width, channels. Into y goes the largest of each window, at least 0, and into
 * places which of its nine values that is, the first of equal ones, or
 * something above 8 if none is above 0.
 *
 * As whole numbers the bits are in this order: what is below 0, from -0 to minus infinity; NaN with
 * a sign; 0 and what is above it; NaN without one. So a search that begins at minus infinity finds
 * what is above 0, and in windows without any, the NaN that a network gives whose weights are. */
void pool(const int16_t *x, int16_t *y, uint8_t *places, int64_t images, int64_t height,
          int64_t width, int64_t channels) {
    const Values minus_infinity = (Values){0} - 0x80;
    for (int64_t image = 0; image < images; image++, x += height * width * channels)
        for (int64_t row = 0; row < pooled(height); row++)
            for (int64_t column = 0; column < pooled(width); column++)
                for (int64_t channel = 0; channel < channels; channel += WIDTH) {
                    const int16_t *window =
                        x + (2 * row * width + 2 * column) * channels + channel;
                    Values best = minus_infinity, place = (Values){0} + NOWHERE;
                    for (int16_t at = 0; at < 9; at++) {
                        Values value;
                        memcpy(&value, window + (at / 3 * width + at % 3) * channels, sizeof value);
                        Values wins = value > best;
                        best = (value & wins) | (best & ~wins);
                        place = (((Values){0} + at) & wins) | (place & ~wins);
                    }
                    best &= best != minus_infinity;
                    place |= (best <= 0) & NOWHERE;
                    Places small = __builtin_convertvector(place, Places);
                    memcpy(y, &best, sizeof best);
                    memcpy(places, &small, sizeof small);
                    y += WIDTH, places += WIDTH;
                }
}

typedef struct {
    Floats gradient;
    Places place;
} Window;

static inline Window window(const uint16_t *gradients, const uint8_t *places, int exists) {
    Window found = {{0}, {0}};
    if (exists) {
        Bits bits;
        memcpy(&bits, gradients, sizeof bits);
        memcpy(&found.place, places, sizeof found.place);
        found.gradient = (Floats)(__builtin_convertvector(bits, Words) << 16);
    }
    return found;
}

/* The gradient of the value at a place of a window: all of the window's, or none. */
static inline Floats at(Window from, uint8_t place) {
    Masks hit = __builtin_convertvector((Hits)(from.place == place), Masks);
    return (Floats)((Masks)from.gradient & hit);
}

/* Round to the nearest bf16, to the even one of two. A sum that is NaN has it from a bf16, so that
 * there is nothing to round away of it. */
static inline void store(uint16_t *target, Floats sum) {
    Words bits = (Words)sum;
    Bits half = __builtin_convertvector((bits + 0x7fff + ((bits >> 16) & 1)) >> 16, Bits);
    memcpy(target, &half, sizeof half);
}

/* The gradient gx of x, from that of y and the places: of four values at a time, which the windows
 * above and below, to the left and to the right of them have in common. */
void pool_gradient(const uint16_t *gy, const uint8_t *places, uint16_t *gx, int64_t images,
                   int64_t height, int64_t width, int64_t channels) {
    const int64_t rows = pooled(height), columns = pooled(width);
    const int64_t down = width * channels, up = columns * channels;
    for (int64_t image = 0; image < images; image++) {
        for (int64_t row = 0; 2 * row < height; row++)
            for (int64_t channel = 0; channel < channels; channel += WIDTH) {
                Window above_left = {{0}, {0}}, left = {{0}, {0}};
                for (int64_t column = 0; 2 * column < width; column++) {
                    const int64_t from = (row * columns + column) * channels + channel;
                    const int inside = column < columns;
                    const Window above = window(gy + from - up, places + from - up, inside && row);
                    const Window own = window(gy + from, places + from, inside && row < rows);
                    uint16_t *to = gx + (2 * row * width + 2 * column) * channels + channel;
                    const int right = 2 * column + 1 < width, below = 2 * row + 1 < height;
                    store(to, at(above_left, 8) + at(above, 6) + at(left, 2) + at(own, 0));
                    if (right) store(to + channels, at(above, 7) + at(own, 1));
                    if (below) store(to + down, at(left, 5) + at(own, 3));
                    if (right && below) store(to + down + channels, at(own, 4));
                    above_left = above, left = own;
                }
            }
        gy += rows * up, places += rows * up, gx += height * down;
    }
}

enum { SIZE = 5, EDGE = SIZE / 2, ROW = 8, AT_ONCE = 2 };

typedef float Row __attribute__((vector_size(4 * ROW)));

/* The gradients of a 5 x 5 convolution of one channel, padded to keep its size, that is then pooled:
 * of the weights, SIZE rows of ROW numbers for each output channel of which the first SIZE count,
 * and of the biases. Only one of nine values that are pooled has a gradient, so that this takes less
 * than half as long as to spread the gradients and to convolve with them.
 *
 * padded is room for one image with EDGE more on each side, and for ROW more numbers. */
void first_gradients(const uint16_t *x, const uint16_t *gy, const uint8_t *places, float *padded,
                     float *weights, float *biases, int64_t images, int64_t height, int64_t width,
                     int64_t channels) {
    const int64_t rows = pooled(height), columns = pooled(width), wide = width + 2 * EDGE;
    int64_t offsets[1 << 8] = {0}; /* from the window's first value, for every place */
    float counts[1 << 8] = {0};    /* 1 for the nine that are one */
    for (int place = 0; place < NOWHERE; place++)
        offsets[place] = place / 3 * wide + place % 3, counts[place] = 1;
    for (int64_t image = 0; image < images; image++) {
        for (int64_t row = 0; row < height; row++)
            for (int64_t column = 0; column < width; column++) {
                uint32_t bits = (uint32_t)x[row * width + column] << 16;
                memcpy(padded + (row + EDGE) * wide + column + EDGE, &bits, sizeof bits);
            }
        for (int64_t channel = 0; channel < channels; channel += AT_ONCE) {
            Row sums[AT_ONCE][SIZE];
            float bias[AT_ONCE] = {0};
            memcpy(sums, weights + channel * SIZE * ROW, sizeof sums);
            for (int64_t row = 0; row < rows; row++)
                for (int64_t column = 0; column < columns; column++)
                    for (int one = 0; one < AT_ONCE; one++) {
                        const int64_t from = (row * columns + column) * channels + channel + one;
                        const uint8_t place = places[from];
                        const uint32_t bits = (uint32_t)gy[from] << 16;
                        float gradient;
                        memcpy(&gradient, &bits, sizeof bits);
                        gradient *= counts[place];
                        const float *seen = padded + 2 * row * wide + 2 * column + offsets[place];
                        for (int line = 0; line < SIZE; line++) {
                            Row values;
                            memcpy(&values, seen + line * wide, sizeof values);
                            sums[one][line] += gradient * values;
                        }
                        bias[one] += gradient;
                    }
            memcpy(weights + channel * SIZE * ROW, sums, sizeof sums);
            for (int one = 0; one < AT_ONCE; one++) biases[channel + one] += bias[one];
        }
        x += height * width, gy += rows * columns * channels, places += rows * columns * channels;
    }
}

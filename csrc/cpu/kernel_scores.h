// Between a caller's planes and rows of points: scores in, marginals out.
// Included by kernels.cpp alone, once for each instruction set: nothing here may be shared between object files.
#pragma once

#include "kernels.h"
#include "simd.h"

namespace densecrf::cpu {
namespace {

constexpr float kHuge = 1e30f;  // keeps differences of logits finite

void peaks(Planes<const float> scores, int64_t first, int64_t count, float* largest) {
    for (int l = 0; l < scores.labels; ++l) {
        const float* plane = scores.plane(l) + first;
        F8 most = broadcast8(largest[l]);
        int64_t p = 0;
        for (; p + 8 <= count; p += 8) most = max8(most, load8(plane + p));
        float lanes[8];
        store8(lanes, most);
        for (; p < count; ++p) lanes[0] = plane[p] > lanes[0] ? plane[p] : lanes[0];
        for (const float v : lanes) largest[l] = v > largest[l] ? v : largest[l];
    }
}

void extremes(Planes<const float> scores, int64_t first, int count, float* sum, float* min, float* max) {
    F8 low = broadcast8(*min), high = broadcast8(*max);
    for (int p = 0; p < count; ++p) sum[p] = 0;
    for (int l = 0; l < scores.labels; ++l) {
        const float* plane = scores.plane(l) + first;
        int p = 0;
        for (; p + 8 <= count; p += 8) {
            const F8 v = load8(plane + p);
            low = min8(v, low);
            high = max8(v, high);
            store8(sum + p, load8(sum + p) + v);
        }
        for (; p < count; ++p) {
            low = min8(broadcast8(plane[p]), low);
            high = max8(broadcast8(plane[p]), high);
            sum[p] += plane[p];
        }
    }
    float lanes[8];
    store8(lanes, low);
    for (const float v : lanes) *min = v < *min ? v : *min;
    store8(lanes, high);
    for (const float v : lanes) *max = v > *max ? v : *max;
}

// Eight values from or to an array that may end before.
DENSECRF_INLINE F8 load_points(const float* from, int points) {
    return points >= 8 ? load8(from) : load_some(from, points);
}
DENSECRF_INLINE void store_points(float* to, F8 v, int points) {
    points >= 8 ? store8(to, v) : store_some(to, v, points);
}

// Scores are read, and marginals written, one plane after the other for the whole run: planes often lie a power of
// two apart, and a line of each would not fit the cache together (1024 x 2048: 360 -> 35 ms for writing).

// Eight points of `column` [labels][kRunLength], largest 0 after shifting -> x [points][stride]
DENSECRF_INLINE void write_unary(const float* column, F8 largest, int labels, int points, float* x, int stride) {
    for (int l = 0; l < stride; l += 8) {
        F8 row[8];
        for (int i = 0; i < 8; ++i)
            row[i] = l + i < labels ? load8(column + kRunLength * (l + i)) - largest : broadcast8(kAbsent);
        transpose8(row);
        for (int p = 0; p < points; ++p) store8(x + p * stride + l, row[p]);
    }
}

template <class Convert>
DENSECRF_INLINE void read(Planes<const float> scores, int64_t first, int count, float* x, int stride,
                          float* scratch, Convert convert) {
    F8 largest[kRunLength / 8];
    for (F8& most : largest) most = broadcast8(-kHuge);
    for (int l = 0; l < scores.labels; ++l) {
        const float* plane = scores.plane(l) + first;
        for (int p = 0; p < count; p += 8) {
            const F8 v = convert(load_points(plane + p, count - p));
            largest[p / 8] = max8(largest[p / 8], v);
            store8(scratch + kRunLength * l + p, v);
        }
    }
    for (int p = 0; p < count; p += 8)
        write_unary(scratch + p, largest[p / 8], scores.labels, count - p < 8 ? count - p : 8, x + p * stride,
                    stride);
}

void read_logits(Planes<const float> scores, float scale, int64_t first, int count, float* x, int stride,
                 float* scratch) {
    read(scores, first, count, x, stride, scratch, [scale](F8 v) __attribute__((always_inline)) {
        return max8(min8(v * scale, broadcast8(kHuge)), broadcast8(-kHuge));
    });
}

void read_probs(Planes<const float> scores, float clip, int64_t first, int count, float* x, int stride,
                float* scratch) {
    read(scores, first, count, x, stride, scratch,
         [clip](F8 v) __attribute__((always_inline)) { return log2_8(max8(v, broadcast8(clip))); });
}

void read_values(Planes<const float> values, int64_t first, int count, float* q, int stride) {
    for (int l = 0; l < stride; l += 8) {
        for (int p = 0; p < count; p += 8) {
            const int points = count - p < 8 ? count - p : 8;
            F8 row[8];
            for (int i = 0; i < 8; ++i)
                row[i] = l + i < values.labels ? load_points(values.plane(l + i) + first + p, points)
                                               : broadcast8(0.0f);
            transpose8(row);
            for (int i = 0; i < points; ++i) store8(q + (p + i) * stride + l, row[i]);
        }
    }
}

void write(int count, const float* q, int stride, float scale, Planes<float> values, int64_t first) {
    for (int l = 0; l < values.labels; l += 8) {
        const int labels = values.labels - l < 8 ? values.labels - l : 8;
        for (int p = 0; p < count; p += 8) {
            F8 row[8];
            for (int i = 0; i < 8; ++i) row[i] = load8(q + (p + i) * stride + l) * scale;
            transpose8(row);
            for (int i = 0; i < labels; ++i) store_points(values.plane(l + i) + first + p, row[i], count - p);
        }
    }
}

void read_odds(Planes<const float> scores, Scores kind, float clip, int64_t first, int count, float* x) {
    for (int p = 0; p < count; p += 8) {
        F8 a = load_points(scores.plane(0) + first + p, count - p);
        F8 b = load_points(scores.plane(1) + first + p, count - p);
        if (kind == Scores::kProbabilities) {
            a = log2_8(max8(a, broadcast8(clip)));
            b = log2_8(max8(b, broadcast8(clip)));
        } else {
            const float scale = kind == Scores::kLogits ? kLog2e : -kLog2e;
            a = max8(min8(a * scale, broadcast8(kHuge)), broadcast8(-kHuge));
            b = max8(min8(b * scale, broadcast8(kHuge)), broadcast8(-kHuge));
        }
        store_points(x + p, a - b, count - p);
    }
}

// 2^-|x|: nothing that could overflow.
DENSECRF_INLINE F8 odds_against(F8 x) {
    F8 e[1] = {max8(min8(x, broadcast8(0.0f) - x), broadcast8(-125.0f))};
    exp2_8(e);
    return e[0];
}

void write_odds(int count, const float* x, Planes<float> values, int64_t first) {
    for (int p = 0; p < count; p += 8) {
        const F8 v = load_points(x + p, count - p), e = odds_against(v);
        const F8 likely = 1.0f / (e + 1.0f), unlikely = e * likely;
        const I8 against = less8(v, broadcast8(0.0f));
        store_points(values.plane(0) + first + p, select8(against, unlikely, likely), count - p);
        store_points(values.plane(1) + first + p, select8(against, likely, unlikely), count - p);
    }
}

}  // namespace
}  // namespace densecrf::cpu

// The inner loops of kernels.h for one instruction set; CMake compiles this file once for each.
#include "kernels.h"

#include "simd.h"

#define DENSECRF_JOIN_(a, b) a##b
#define DENSECRF_JOIN(a, b) DENSECRF_JOIN_(a, b)
#define DENSECRF_STRING_(a) #a
#define DENSECRF_STRING(a) DENSECRF_STRING_(a)

namespace densecrf::cpu {

// From embed.cpp, built for the same instruction set.
void DENSECRF_JOIN(simplices_, DENSECRF_ISA)(int, const float*, const FeatureLanes&, SimplexLanes&);

namespace {

constexpr float kLog2e = 1.442695041f;
constexpr float kHuge = 1e30f;      // keeps differences of logits finite

// Floats in a register. With AVX-512 a 16-wide row is one register and one cache line.
#if defined(__AVX512F__)
constexpr int kRegister = 16;
#elif defined(__AVX__)
constexpr int kRegister = 8;
#else
constexpr int kRegister = 4;
#endif

// A row of one label block: kWidth floats.
template <int kWidth>
struct Row {
    static constexpr int kEach = kWidth < kRegister ? kWidth : kRegister;
    static constexpr int kVectors = kWidth / kEach;
    typedef float Vector __attribute__((vector_size(4 * kEach)));
    typedef float Unaligned __attribute__((vector_size(4 * kEach), aligned(4), may_alias));
    Vector v[kVectors];

    DENSECRF_INLINE Row load(const float* from) {
        Row row;
        for (int i = 0; i < kVectors; ++i) row.v[i] = reinterpret_cast<const Unaligned*>(from)[i];
        return row;
    }
    DENSECRF_INLINE Row zero() {
        Row row;
        for (int i = 0; i < kVectors; ++i) row.v[i] = Vector{};
        return row;
    }
    __attribute__((always_inline)) void store(float* to) const {
        for (int i = 0; i < kVectors; ++i) reinterpret_cast<Unaligned*>(to)[i] = v[i];
    }
    __attribute__((always_inline)) void add(float weight, const Row& other) {
        for (int i = 0; i < kVectors; ++i) v[i] += weight * other.v[i];
    }
    __attribute__((always_inline)) void scale(float weight) {
        for (int i = 0; i < kVectors; ++i) v[i] *= weight;
    }
};

template <>
struct Row<1> {
    float v;

    DENSECRF_INLINE Row load(const float* from) { return {*from}; }
    DENSECRF_INLINE Row zero() { return {0.0f}; }
    __attribute__((always_inline)) void store(float* to) const { *to = v; }
    __attribute__((always_inline)) void add(float weight, const Row& other) { v += weight * other.v; }
    __attribute__((always_inline)) void scale(float weight) { v *= weight; }
};

template <>
struct Row<0> {
    DENSECRF_INLINE Row load(const float*) { return {}; }
    DENSECRF_INLINE Row zero() { return {}; }
    __attribute__((always_inline)) void store(float*) const {}
    __attribute__((always_inline)) void add(float, const Row&) {}
};

// A number known to the compiler, so that loops over it are unrolled; 0 stands for one that is not.
template <int kValue>
struct Constant {
    static constexpr int value = kValue;
};

// Calls body with the numbers of corners of two terms as constants where they are the usual ones: a 2-D Gaussian, an RGB
// bilateral term, both. 0 and 0 for anything else.
template <class Body>
DENSECRF_INLINE void with_corners(CornerList corners, const Body& body) {
    const int first = corners.terms ? corners.term[0].per_point : 0;
    if (corners.terms == 1 && first == 3) return body(Constant<3>(), Constant<0>());
    if (corners.terms == 1 && first == 6) return body(Constant<6>(), Constant<0>());
    if (corners.terms == 2 && first == 3 && corners.term[1].per_point == 6)
        return body(Constant<3>(), Constant<6>());
    body(Constant<0>(), Constant<0>());
}

// One term's corners, and where it lies in two label blocks (kB = 0 for one block alone).
template <int kA, int kB>
struct Place {
    DENSECRF_INLINE Place of(const Corners& corners, int64_t start, Rows values, int b) {
        return {corners.row + start * corners.per_point, corners.weight + start * corners.per_point,
                values.values[b] + corners.first_row * kA,
                kB ? values.values[b + 1] + corners.first_row * kB : nullptr};
    }
    const uint32_t* row;
    const float* weight;
    float *a, *b;
};

template <int kA, int kB>
DENSECRF_INLINE void slice_point(const Place<kA, kB>& place, int64_t p, int corners, Row<kA>& sum_a, Row<kB>& sum_b) {
    for (int k = 0; k < corners; ++k) {
        const int64_t row = place.row[p * corners + k];
        sum_a.add(place.weight[p * corners + k], Row<kA>::load(place.a + row * kA));
        sum_b.add(place.weight[p * corners + k], Row<kB>::load(place.b + row * kB));
    }
}

template <int kA, int kB>
DENSECRF_INLINE void splat_point(const Place<kA, kB>& place, int64_t p, int corners, const Row<kA>& value_a,
                                 const Row<kB>& value_b) {
    for (int k = 0; k < corners; ++k) {
        const int64_t row = place.row[p * corners + k];
        auto sum_a = Row<kA>::load(place.a + row * kA);
        auto sum_b = Row<kB>::load(place.b + row * kB);
        sum_a.add(place.weight[p * corners + k], value_a);
        sum_b.add(place.weight[p * corners + k], value_b);
        sum_a.store(place.a + row * kA);
        sum_b.store(place.b + row * kB);
    }
}

// Two label blocks at a time where there are two: a corner's row and weight are looked at once for both (8 % of a call
// with 21 labels).
template <int kA, int kB>
DENSECRF_INLINE void slice_blocks(int count, CornerList corners, int64_t start, Rows values, Rows base, int b,
                                  float* out, int stride) {
    const float* base_a = base.blocks ? base.values[b] + start * kA : nullptr;
    const float* base_b = kB && base.blocks ? base.values[b + 1] + start * kB : nullptr;
    with_corners(corners, [=](auto first, auto second) __attribute__((always_inline)) {
        Place<kA, kB> one{}, two{};
        if (first.value) one = Place<kA, kB>::of(corners.term[0], start, values, b);
        if (second.value) two = Place<kA, kB>::of(corners.term[1], start, values, b);
        for (int p = 0; p < count; ++p) {
            auto sum_a = base_a ? Row<kA>::load(base_a + p * kA) : Row<kA>::zero();
            auto sum_b = base_a ? Row<kB>::load(base_b + p * kB) : Row<kB>::zero();
            if (first.value) {
                slice_point(one, p, first.value, sum_a, sum_b);
                slice_point(two, p, second.value, sum_a, sum_b);
            } else {
                for (int t = 0; t < corners.terms; ++t)
                    slice_point(Place<kA, kB>::of(corners.term[t], start, values, b), p, corners.term[t].per_point,
                                sum_a, sum_b);
            }
            sum_a.store(out + int64_t{p} * stride);
            sum_b.store(out + int64_t{p} * stride + kA);
        }
    });
}

template <int kA, int kB>
DENSECRF_INLINE void splat_blocks(int count, CornerList corners, int64_t start, const float* in, int stride,
                                  Rows values, int b) {
    with_corners(corners, [=](auto first, auto second) __attribute__((always_inline)) {
        Place<kA, kB> one{}, two{};
        if (first.value) one = Place<kA, kB>::of(corners.term[0], start, values, b);
        if (second.value) two = Place<kA, kB>::of(corners.term[1], start, values, b);
        for (int p = 0; p < count; ++p) {
            const auto value_a = Row<kA>::load(in + int64_t{p} * stride);
            const auto value_b = Row<kB>::load(in + int64_t{p} * stride + kA);
            if (first.value) {
                splat_point(one, p, first.value, value_a, value_b);
                splat_point(two, p, second.value, value_a, value_b);
            } else {
                for (int t = 0; t < corners.terms; ++t)
                    splat_point(Place<kA, kB>::of(corners.term[t], start, values, b), p, corners.term[t].per_point,
                                value_a, value_b);
            }
        }
    });
}

// Calls body(width of a block, width of the one after it or 0, index of the block) until all blocks are done.
template <class Body>
DENSECRF_INLINE void in_pairs(Rows rows, const Body& body) {
    int b = 0;
    for (; b + 1 < rows.blocks; b += 2) {
        if (rows.width[b + 1] == 16)
            body(Constant<16>(), Constant<16>(), b);
        else if (rows.width[b + 1] == 8)
            body(Constant<16>(), Constant<8>(), b);
        else
            body(Constant<16>(), Constant<4>(), b);
    }
    if (b == rows.blocks) return;
    switch (rows.width[b]) {
        case 16:
            return body(Constant<16>(), Constant<0>(), b);
        case 8:
            return body(Constant<8>(), Constant<0>(), b);
        case 4:
            return body(Constant<4>(), Constant<0>(), b);
        default:
            return body(Constant<1>(), Constant<0>(), b);
    }
}

void slice(int count, CornerList corners, int64_t start, Rows values, Rows base, float* out, int stride) {
    in_pairs(values, [=](auto a, auto b, int block) __attribute__((always_inline)) {
        slice_blocks<a.value, b.value>(count, corners, start, values, base, block, out + 16 * block, stride);
    });
}

void splat(int count, CornerList corners, int64_t start, const float* in, int stride, Rows values) {
    in_pairs(values, [=](auto a, auto b, int block) __attribute__((always_inline)) {
        splat_blocks<a.value, b.value>(count, corners, start, in + 16 * block, stride, values, block);
    });
}

// Reads one row ahead and remembers half of the row behind, so chains are blurred in place. At the end of a
// chain the half becomes zero: no branch, though chains are two or three rows long.
template <int kWidth>
void blur_block(int64_t count, const uint32_t* chain, float* values) {
    if (count == 0) return;
    const float half_unless_last[2] = {0.5f, 0.0f};
    auto before = Row<kWidth>::zero();
    float* at = values + int64_t{chain[0] & ~kLastOfChain} * kWidth;
    auto here = Row<kWidth>::load(at);
    for (int64_t t = 0; t < count; ++t) {
        const float half = half_unless_last[chain[t] >> 31];
        const uint32_t following = chain[t + 1 < count ? t + 1 : t] & ~kLastOfChain;
        // Into L2: many more of these can be under way than of those into L1.
        __builtin_prefetch(values + int64_t{chain[t + kFetchAhead] & ~kLastOfChain} * kWidth, 0, 2);
        float* next_at = values + int64_t{following} * kWidth;
        const auto next = Row<kWidth>::load(next_at);
        auto sum = here;
        sum.add(1.0f, before);
        sum.add(half, next);
        before = here;
        before.scale(half);
        sum.store(at);
        at = next_at;
        here = next;
    }
}

void blur(int64_t count, const uint32_t* chain, int width, float* values) {
    switch (width) {
        case 16:
            return blur_block<16>(count, chain, values);
        case 8:
            return blur_block<8>(count, chain, values);
        case 4:
            return blur_block<4>(count, chain, values);
        default:
            return blur_block<1>(count, chain, values);
    }
}

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

// Scores are read, and marginals written, one plane after the other for the whole run: planes often lie a power of two
// apart, and a line of each would not fit the cache together (1024 x 2048: 360 -> 35 ms for writing).

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
        write_unary(scratch + p, largest[p / 8], scores.labels, count - p < 8 ? count - p : 8, x + p * stride, stride);
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

// The same for one point, with the largest exponent taken out first: for sums that leave the range of a float.
void softmax_shifted(int labels, float floor, const float* x, float rest, float* q, int stride) {
    float largest = rest;
    for (int l = 0; l < labels; ++l) largest = x[l] > largest ? x[l] : largest;
    F8 e[1] = {max8(broadcast8(rest - largest), broadcast8(floor))};
    exp2_8(e);
    store8(q, e[0]);
    float sum = q[0];
    for (int l = 0; l < stride; l += 8) {
        e[0] = max8(load8(x + l) - largest, broadcast8(floor));
        exp2_8(e);
        store8(q + l, e[0]);
    }
    for (int l = 0; l < labels; ++l) sum += q[l];
    for (int l = 0; l < labels; ++l) q[l] /= sum;
}

// The sum over the labels of each of eight points [8][stride].
DENSECRF_INLINE F8 sum_of_rows(const float* q, int stride) {
    F8 sum[8];
    for (int i = 0; i < 8; ++i) {
        sum[i] = load8(q + i * stride);
        for (int l = 8; l < stride; l += 8) sum[i] += load8(q + i * stride + l);
    }
    transpose8(sum);
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

DENSECRF_INLINE float largest_of(F8 v) {
    float lanes[8], largest = 0;
    store8(lanes, v);
    for (float lane : lanes) largest = lane > largest ? lane : largest;
    return largest;
}

template <class Stride>
DENSECRF_INLINE float softmax_groups(int count, int labels, float floor, const float* x, const float* rest,
                                     float* q, int any_stride, Stride constant) {
    const int stride = constant.value ? constant.value : any_stride;
    const F8 low = broadcast8(floor), high = broadcast8(127.0f);
    F8 largest_share = broadcast8(0.0f);
    for (int p = 0; p < count; p += 8, x += 8 * stride, q += 8 * stride) {
        for (int i = 0; i < stride; i += 4) {  // eight rows of `stride`, four vectors at a time
            F8 e[4];
            for (int j = 0; j < 4; ++j) e[j] = max8(min8(load8(x + 8 * (i + j)), high), low);
            exp2_8(e);
            for (int j = 0; j < 4; ++j) store8(q + 8 * (i + j), e[j]);
        }
        F8 total = sum_of_rows(q, stride);
        float rests[8] = {kAbsent, kAbsent, kAbsent, kAbsent, kAbsent, kAbsent, kAbsent, kAbsent};
        if (rest) {
            const int points = count - p < 8 ? count - p : 8;
            std::memcpy(rests, rest + p, points * sizeof(float));
            F8 e[1] = {max8(min8(load8(rests), high), low)};
            exp2_8(e);
            total += e[0];
            F8 share = e[0] / total;
            if (points < 8) {  // rows beyond the last point are anything
                float shares[8] = {};
                store_some(shares, share, points);
                share = load8(shares);
            }
            largest_share = max8(largest_share, share);
        }
        float inverse[8];
        store8(inverse, 1.0f / total);
        for (int i = 0; i < 8; ++i)
            for (int l = 0; l < stride; l += 8) store8(q + i * stride + l, load8(q + i * stride + l) * inverse[i]);
        if (!any8(less8(total, broadcast8(0x1p-20f)) | less8(broadcast8(0x1p100f), total))) continue;
        float totals[8];
        store8(totals, total);
        for (int i = 0; i < 8; ++i)
            if (!(totals[i] < 0x1p100f && totals[i] > 0x1p-20f))
                softmax_shifted(labels, floor, x + i * stride, rests[i], q + i * stride, stride);
    }
    return largest_of(largest_share);
}

float softmax(int count, int labels, float floor, const float* x, const float* rest, float* q, int stride) {
    switch (stride) {
        case 8:
            return softmax_groups(count, labels, floor, x, rest, q, stride, Constant<8>());
        case 16:
            return softmax_groups(count, labels, floor, x, rest, q, stride, Constant<16>());
        case 24:
            return softmax_groups(count, labels, floor, x, rest, q, stride, Constant<24>());
        default:
            return softmax_groups(count, labels, floor, x, rest, q, stride, Constant<0>());
    }
}

void sum_dropped(int count, const float* x, const float* dropped, float* rest, int stride) {
    float e[8 * 8];
    for (int p = 0; p < count; p += 8, x += 8 * stride) {
        for (int i = 0; i < 8; ++i) {
            F8 sum = broadcast8(0.0f);
            for (int l = 0; l < stride; l += 8) {
                F8 one[1] = {max8(load8(x + i * stride + l) + load8(dropped + l), broadcast8(-125.0f))};
                exp2_8(one);
                sum += one[0];
            }
            store8(e + 8 * i, sum);
        }
        const F8 total = log2_8(sum_of_rows(e, 8));
        count - p < 8 ? store_some(rest + p, total, count - p) : store8(rest + p, total);
    }
}

void raise(int count, const float* q, int stride, float* largest) {
    for (int l = 0; l < stride; l += 8) {
        F8 most = load8(largest + l);
        for (int p = 0; p < count; ++p) most = max8(most, load8(q + p * stride + l));
        store8(largest + l, most);
    }
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

float blend(int count, float keep, float* q, float* kept, int stride) {
    F8 largest = broadcast8(0.0f);
    for (int i = 0; i < count * stride; i += 8) {
        const F8 before = load8(kept + i), after = before * keep + load8(q + i) * (1.0f - keep);
        largest = max8(largest, max8(after - before, before - after));
        store8(q + i, after);
        store8(kept + i, after);
    }
    return largest_of(largest);
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

void mix(int64_t count, const float* matrix, int stride, Rows rows, float* scratch) {
    for (int64_t r = 0; r < count; ++r) {
        for (int l = 0; l < stride; l += 8) store8(scratch + l, broadcast8(0.0f));
        for (int b = 0, first = 0; b < rows.blocks; first += rows.width[b++]) {
            const float* row = rows.values[b] + r * rows.width[b];
            for (int m = 0; m < rows.width[b]; ++m)
                for (int l = 0; l < stride; l += 8)
                    store8(scratch + l, load8(scratch + l) + row[m] * load8(matrix + (first + m) * stride + l));
        }
        for (int b = 0, first = 0; b < rows.blocks; first += rows.width[b++])
            std::memcpy(rows.values[b] + r * rows.width[b], scratch + first, rows.width[b] * sizeof(float));
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

void difference(int count, const float* x, float* out) {
    for (int p = 0; p < count; p += 8) {
        const F8 v = load_points(x + p, count - p), e = odds_against(v);
        const F8 size = (1.0f - e) / (e + 1.0f);
        store_points(out + p, select8(less8(v, broadcast8(0.0f)), broadcast8(0.0f) - size, size), count - p);
    }
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

extern const Kernels DENSECRF_JOIN(kernels_, DENSECRF_ISA);
const Kernels DENSECRF_JOIN(kernels_, DENSECRF_ISA) = {
    DENSECRF_STRING(DENSECRF_ISA),
    slice,
    splat,
    blur,
    DENSECRF_JOIN(simplices_, DENSECRF_ISA),
    extremes,
    peaks,
    read_logits,
    read_probs,
    read_values,
    softmax,
    sum_dropped,
    raise,
    read_odds,
    difference,
    write_odds,
    blend,
    write,
    mix,
};

}  // namespace densecrf::cpu

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

constexpr float kAbsent = -256.0f;  // log2 of "no such label"
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

// A number known to the compiler, so that loops over it are unrolled; 0 stands for one that is not.
template <int kValue>
struct Constant {
    static constexpr int value = kValue;
};

// Calls body with the number of corners as a constant where it is a usual one: a 2-D Gaussian, an RGB bilateral
// term, both.
template <class Body>
DENSECRF_INLINE void with_corners(int per_point, const Body& body) {
    switch (per_point) {
        case 3:
            return body(Constant<3>());
        case 6:
            return body(Constant<6>());
        case 9:
            return body(Constant<9>());
        default:
            return body(Constant<0>());
    }
}

template <int kWidth>
void slice(int count, Corners corners, const float* values, const float* base, float* out, int stride) {
    with_corners(corners.per_point, [=](auto constant) __attribute__((always_inline)) {
        const int per_point = constant.value ? constant.value : corners.per_point;
        const uint32_t* row = corners.row;
        const float* weight = corners.weight;
        for (int p = 0; p < count; ++p, row += per_point, weight += per_point) {
            auto sum = base ? Row<kWidth>::load(base + p * kWidth) : Row<kWidth>::zero();
            for (int k = 0; k < per_point; ++k)
                sum.add(weight[k], Row<kWidth>::load(values + int64_t{row[k]} * kWidth));
            sum.store(out + int64_t{p} * stride);
        }
    });
}

template <int kWidth>
void splat(int count, Corners corners, const float* in, int stride, float* values) {
    with_corners(corners.per_point, [=](auto constant) __attribute__((always_inline)) {
        const int per_point = constant.value ? constant.value : corners.per_point;
        const uint32_t* row = corners.row;
        const float* weight = corners.weight;
        for (int p = 0; p < count; ++p, row += per_point, weight += per_point) {
            const auto value = Row<kWidth>::load(in + int64_t{p} * stride);
            for (int k = 0; k < per_point; ++k) {
                float* at = values + int64_t{row[k]} * kWidth;
                auto sum = Row<kWidth>::load(at);
                sum.add(weight[k], value);
                sum.store(at);
            }
        }
    });
}

void slice24(int count, Corners corners, const float* v16, const float* v8, const float* b16, const float* b8, float* out, int stride) {
    with_corners(corners.per_point, [=](auto constant) __attribute__((always_inline)) {
        const int per_point = constant.value ? constant.value : corners.per_point;
        const uint32_t* row = corners.row;
        const float* weight = corners.weight;
        for (int p = 0; p < count; ++p, row += per_point, weight += per_point) {
            auto sum = b16 ? Row<16>::load(b16 + p * 16) : Row<16>::zero();
            auto sum8 = b8 ? Row<8>::load(b8 + p * 8) : Row<8>::zero();
            for (int k = 0; k < per_point; ++k) {
                sum.add(weight[k], Row<16>::load(v16 + int64_t{row[k]} * 16));
                sum8.add(weight[k], Row<8>::load(v8 + int64_t{row[k]} * 8));
            }
            sum.store(out + int64_t{p} * stride);
            sum8.store(out + int64_t{p} * stride + 16);
        }
    });
}
void splat24(int count, Corners corners, const float* in, int stride, float* v16, float* v8) {
    with_corners(corners.per_point, [=](auto constant) __attribute__((always_inline)) {
        const int per_point = constant.value ? constant.value : corners.per_point;
        const uint32_t* row = corners.row;
        const float* weight = corners.weight;
        for (int p = 0; p < count; ++p, row += per_point, weight += per_point) {
            const auto value = Row<16>::load(in + int64_t{p} * stride);
            const auto value8 = Row<8>::load(in + int64_t{p} * stride + 16);
            for (int k = 0; k < per_point; ++k) {
                float* at = v16 + int64_t{row[k]} * 16;
                float* at8 = v8 + int64_t{row[k]} * 8;
                auto sum = Row<16>::load(at);
                auto sum8 = Row<8>::load(at8);
                sum.add(weight[k], value);
                sum8.add(weight[k], value8);
                sum.store(at);
                sum8.store(at8);
            }
        }
    });
}

// Reads one row ahead and remembers half of the row behind, so chains are blurred in place. At the end of a
// chain the half becomes zero: no branch, though chains are two or three rows long.
template <int kWidth>
void blur(int64_t count, const uint32_t* chain, float* values) {
    constexpr int64_t kAhead = 64;
    if (count == 0) return;
    const float half_unless_last[2] = {0.5f, 0.0f};
    auto before = Row<kWidth>::zero();
    float* at = values + int64_t{chain[0] & ~kLastOfChain} * kWidth;
    auto here = Row<kWidth>::load(at);
    for (int64_t t = 0; t < count; ++t) {
        const float half = half_unless_last[chain[t] >> 31];
        const uint32_t following = chain[t + 1 < count ? t + 1 : t] & ~kLastOfChain;
        // Into L2: many more of these can be under way than of those into L1.
        if (t + kAhead < count)
            __builtin_prefetch(values + int64_t{chain[t + kAhead] & ~kLastOfChain} * kWidth, 0, 2);
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

// `column` [labels][8 points], largest 0 after shifting -> x [points][stride]
DENSECRF_INLINE void write_unary(const float* column, F8 largest, int labels, int points, float* x, int stride) {
    for (int l = 0; l < stride; l += 8) {
        F8 row[8];
        for (int i = 0; i < 8; ++i)
            row[i] = l + i < labels ? load8(column + 8 * (l + i)) - largest : broadcast8(kAbsent);
        transpose8(row);
        for (int p = 0; p < points; ++p) store8(x + p * stride + l, row[p]);
    }
}

template <class Convert>
DENSECRF_INLINE void read(Planes<const float> scores, int64_t first, int count, float* x, int stride,
                          float* scratch, Convert convert) {
    for (int p = 0; p < count; p += 8) {
        const int points = count - p < 8 ? count - p : 8;
        F8 largest = broadcast8(-kHuge);
        for (int l = 0; l < scores.labels; ++l) {
            const float* plane = scores.data + l * scores.points + first + p;
            const F8 v = convert(points == 8 ? load8(plane) : load_some(plane, points));
            largest = max8(largest, v);
            store8(scratch + 8 * l, v);
        }
        write_unary(scratch, largest, scores.labels, points, x + p * stride, stride);
    }
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
void softmax_shifted(int labels, float floor, const float* x, float* q, int stride) {
    float largest = x[0], sum = 0;
    for (int l = 1; l < labels; ++l) largest = x[l] > largest ? x[l] : largest;
    for (int l = 0; l < stride; l += 8) {
        F8 e[1] = {max8(load8(x + l) - largest, broadcast8(floor))};
        exp2_8(e);
        store8(q + l, e[0]);
    }
    for (int l = 0; l < labels; ++l) sum += q[l];
    for (int l = 0; l < labels; ++l) q[l] /= sum;
}

template <class Stride>
DENSECRF_INLINE void softmax_groups(int count, int labels, float floor, const float* x, float* q, int any_stride,
                                    Stride constant) {
    const int stride = constant.value ? constant.value : any_stride;
    const F8 low = broadcast8(floor), high = broadcast8(127.0f);
    for (int p = 0; p < count; p += 8, x += 8 * stride, q += 8 * stride) {
        for (int i = 0; i < stride; i += 4) {  // eight rows of `stride`, four vectors at a time
            F8 e[4];
            for (int j = 0; j < 4; ++j) e[j] = max8(min8(load8(x + 8 * (i + j)), high), low);
            exp2_8(e);
            for (int j = 0; j < 4; ++j) store8(q + 8 * (i + j), e[j]);
        }
        F8 sum[8];
        for (int i = 0; i < 8; ++i) {
            sum[i] = load8(q + i * stride);
            for (int l = 8; l < stride; l += 8) sum[i] += load8(q + i * stride + l);
        }
        transpose8(sum);
        const F8 total = ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
        float inverse[8];
        store8(inverse, 1.0f / total);
        for (int i = 0; i < 8; ++i)
            for (int l = 0; l < stride; l += 8) store8(q + i * stride + l, load8(q + i * stride + l) * inverse[i]);
        if (any8(less8(total, broadcast8(0x1p-20f)) | less8(broadcast8(0x1p100f), total)))
            for (int i = 0; i < 8; ++i) softmax_shifted(labels, floor, x + i * stride, q + i * stride, stride);
    }
}

void softmax(int count, int labels, float floor, const float* x, float* q, int stride) {
    switch (stride) {
        case 8:
            return softmax_groups(count, labels, floor, x, q, stride, Constant<8>());
        case 16:
            return softmax_groups(count, labels, floor, x, q, stride, Constant<16>());
        case 24:
            return softmax_groups(count, labels, floor, x, q, stride, Constant<24>());
        default:
            return softmax_groups(count, labels, floor, x, q, stride, Constant<0>());
    }
}

void read_values(Planes<const float> values, int64_t first, int count, float* q, int stride) {
    for (int p = 0; p < count; p += 8) {
        const int points = count - p < 8 ? count - p : 8;
        for (int l = 0; l < stride; l += 8) {
            F8 row[8];
            for (int i = 0; i < 8; ++i) {
                const float* plane = values.data + (l + i) * values.points + first + p;
                if (l + i >= values.labels)
                    row[i] = broadcast8(0.0f);
                else
                    row[i] = points == 8 ? load8(plane) : load_some(plane, points);
            }
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
    float lanes[8], change = 0;
    store8(lanes, largest);
    for (float lane : lanes) change = lane > change ? lane : change;
    return change;
}

void write(int count, const float* q, int stride, float scale, Planes<float> values, int64_t first) {
    for (int p = 0; p < count; p += 8) {
        const int points = count - p < 8 ? count - p : 8;
        for (int l = 0; l < values.labels; l += 8) {
            F8 row[8];
            for (int i = 0; i < 8; ++i) row[i] = load8(q + (p + i) * stride + l) * scale;
            transpose8(row);
            const int labels = values.labels - l < 8 ? values.labels - l : 8;
            for (int i = 0; i < labels; ++i) {
                float* plane = values.data + (l + i) * values.points + first + p;
                points == 8 ? store8(plane, row[i]) : store_some(plane, row[i], points);
            }
        }
    }
}

void mix(int64_t rows, const float* matrix, int stride, const BlockKernels* blocks, float* const* values,
         float* scratch) {
    for (int64_t r = 0; r < rows; ++r) {
        for (int l = 0; l < stride; l += 8) store8(scratch + l, broadcast8(0.0f));
        int first = 0;
        for (int b = 0; first < stride; first += blocks[b++].width) {
            const float* row = values[b] + r * blocks[b].width;
            for (int m = 0; m < blocks[b].width; ++m)
                for (int l = 0; l < stride; l += 8)
                    store8(scratch + l, load8(scratch + l) + row[m] * load8(matrix + (first + m) * stride + l));
        }
        first = 0;
        for (int b = 0; first < stride; first += blocks[b++].width)
            std::memcpy(values[b] + r * blocks[b].width, scratch + first, blocks[b].width * sizeof(float));
    }
}

template <int kWidth>
constexpr BlockKernels block_kernels() {
    return {kWidth, slice<kWidth>, splat<kWidth>, blur<kWidth>};
}

}  // namespace

extern const Kernels DENSECRF_JOIN(kernels_, DENSECRF_ISA);
const Kernels DENSECRF_JOIN(kernels_, DENSECRF_ISA) = {
    DENSECRF_STRING(DENSECRF_ISA),
    block_kernels<1>(),
    block_kernels<8>(),
    block_kernels<16>(),
    slice24, splat24,
    DENSECRF_JOIN(simplices_, DENSECRF_ISA),
    read_logits,
    read_probs,
    read_values,
    softmax,
    blend,
    write,
    mix,
};

}  // namespace densecrf::cpu

// Slice, splat, blur, and mixing labels: between points and the rows of the lattice.
// Included by kernels.cpp alone, once for each instruction set: nothing here may be shared between object files.
#pragma once

#include "kernel_rows.h"
#include "kernels.h"

namespace densecrf::cpu {
namespace {

// Calls body with the numbers of corners of two terms as constants where they are the usual ones: a 2-D Gaussian,
// an RGB bilateral term, both. 0 and 0 for anything else.
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
DENSECRF_INLINE void slice_point(const Place<kA, kB>& place, int64_t p, int corners, Row<kA>& sum_a,
                                 Row<kB>& sum_b) {
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

// Two label blocks at a time where there are two: a corner's row and weight are looked at once for both (8 % of a
// call with 21 labels).
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

}  // namespace
}  // namespace densecrf::cpu

// From exponents to marginals.
// Included by kernels.cpp alone, once for each instruction set: nothing here may be shared between object files.
#pragma once

#include "kernel_rows.h"
#include "kernel_scores.h"

namespace densecrf::cpu {
namespace {

// The same for one point, with the largest exponent taken out first: for sums that leave the range of a float.
// Where all labels repel each other, all of them are less likely than what stands for an absent one.
void softmax_shifted(int labels, float floor, const float* x, float rest, float* q, int stride) {
    const bool has_rest = rest > kAbsent;
    const F8 low = broadcast8(floor), high = broadcast8(0.0f);  // which absent ones may exceed
    float largest = has_rest ? rest : x[0];
    for (int l = 0; l < labels; ++l) largest = x[l] > largest ? x[l] : largest;
    F8 e[1] = {max8(min8(broadcast8(rest - largest), high), low)};
    exp2_8(e);
    store8(q, e[0]);
    float sum = has_rest ? q[0] : 0.0f;
    for (int l = 0; l < stride; l += 8) {
        e[0] = max8(min8(load8(x + l) - largest, high), low);
        exp2_8(e);
        store8(q + l, e[0]);
    }
    for (int l = 0; l < labels; ++l) sum += q[l];
    for (int l = 0; l < labels; ++l) q[l] /= sum;
    for (int l = labels; l < stride; ++l) q[l] = 0;
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

void difference(int count, const float* x, float* out) {
    for (int p = 0; p < count; p += 8) {
        const F8 v = load_points(x + p, count - p), e = odds_against(v);
        const F8 size = (1.0f - e) / (e + 1.0f);
        store_points(out + p, select8(less8(v, broadcast8(0.0f)), broadcast8(0.0f) - size, size), count - p);
    }
}

}  // namespace
}  // namespace densecrf::cpu

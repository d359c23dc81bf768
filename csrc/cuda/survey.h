// One look at scores or pictures on the device. Nothing waits for it: the result is fetched when the host stops
// anyway, to learn the size of the lattice.
#pragma once

#include <cstring>

#include "../problem.h"
#include "../simplex.h"
#include "runtime.h"

namespace densecrf::cuda {

// A survey as threads make it together: floats as integers of the same order.
struct SurveyBits {
    uint32_t min, max, sum_min, sum_max;
    unsigned long long not_finite;
};

DENSECRF_HD uint32_t ordered(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

DENSECRF_HD float disordered(uint32_t ordered) {
    const uint32_t bits = ordered & 0x80000000u ? ordered & 0x7FFFFFFFu : ~ordered;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

Survey to_survey(const SurveyBits& bits);

// scores [pictures][labels][points], float32 -> [pictures]
Array<SurveyBits> survey(const Context& context, const float* scores, int pictures, int labels, int64_t points);

}  // namespace densecrf::cuda

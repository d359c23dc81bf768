// One look at unary scores, so that Python can say what is wrong with them.
#pragma once

#include <cstdint>

namespace densecrf::cpu {

struct Survey {
    float min, max;          // over the finite scores
    float sum_min, sum_max;  // of a point's scores over its labels
    int64_t not_finite;      // how many scores are NaN or infinite
};

// scores [labels, points]
Survey survey(const float* scores, int64_t labels, int64_t points, int threads);

}  // namespace densecrf::cpu

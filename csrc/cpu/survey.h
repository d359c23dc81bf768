// One look at unary scores.
#pragma once

#include "../problem.h"

namespace densecrf::cpu {

// scores [labels, points]
Survey survey(const float* scores, int64_t labels, int64_t points, int threads);

}  // namespace densecrf::cpu

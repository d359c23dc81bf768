// One look at unary scores.
#pragma once

#include "../problem.h"
#include "team.h"

namespace densecrf::cpu {

// scores [labels, points]
Survey survey(const float* scores, int64_t labels, int64_t points, const Execution& execution);

}  // namespace densecrf::cpu

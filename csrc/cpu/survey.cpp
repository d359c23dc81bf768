#include "survey.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "kernels.h"
#include "team.h"

namespace densecrf::cpu {
namespace {

constexpr int64_t kBlock = 2048;  // points whose sums stay in the L1 cache
constexpr float kMax = std::numeric_limits<float>::max();

// With care: for scores that are not all finite.
Survey survey_odd_block(Planes<const float> scores, int64_t first, int count) {
    float sum[kBlock] = {};
    Survey s{kMax, -kMax, kMax, -kMax, 0};
    for (int l = 0; l < scores.labels; ++l) {
        for (int i = 0; i < count; ++i) {
            const float v = scores.plane(l)[first + i];
            const bool good = v >= -kMax && v <= kMax;
            s.not_finite += !good;
            s.min = good && v < s.min ? v : s.min;
            s.max = good && v > s.max ? v : s.max;
            sum[i] += v;
        }
    }
    for (int i = 0; i < count; ++i) {
        s.sum_min = sum[i] < s.sum_min ? sum[i] : s.sum_min;
        s.sum_max = sum[i] > s.sum_max ? sum[i] : s.sum_max;
    }
    return s;
}

Survey survey_block(Planes<const float> scores, int64_t first, int count) {
    float sum[kBlock];
    Survey s{kMax, -kMax, kMax, -kMax, 0};
    kernels().extremes(scores, first, count, sum, &s.min, &s.max);
    bool finite = true;
    for (int i = 0; i < count; ++i) {
        finite &= sum[i] >= -kMax && sum[i] <= kMax;
        s.sum_min = sum[i] < s.sum_min ? sum[i] : s.sum_min;
        s.sum_max = sum[i] > s.sum_max ? sum[i] : s.sum_max;
    }
    return finite ? s : survey_odd_block(scores, first, count);
}

Survey merge(const Survey& a, const Survey& b) {
    return {std::min(a.min, b.min), std::max(a.max, b.max), std::min(a.sum_min, b.sum_min),
            std::max(a.sum_max, b.sum_max), a.not_finite + b.not_finite};
}

}  // namespace

Survey survey(const float* scores, int64_t labels, int64_t points, const Execution& execution) {
    const Planes<const float> planes{scores, points, static_cast<int>(labels)};
    const int64_t blocks = (points + kBlock - 1) / kBlock;
    std::vector<Survey> partial(blocks);
    Team team(execution, 1 + blocks / 32);
    team.run([&](int thread) {
        team.each(thread, blocks, [&](int64_t b) {
            const int64_t first = b * kBlock;
            partial[b] = survey_block(planes, first, static_cast<int>(std::min(kBlock, points - first)));
        });
    });
    Survey all{kMax, -kMax, kMax, -kMax, 0};
    for (const Survey& one : partial) all = merge(all, one);
    return all;
}

}  // namespace densecrf::cpu

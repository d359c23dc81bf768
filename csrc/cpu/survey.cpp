#include "survey.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "team.h"

namespace densecrf::cpu {
namespace {

constexpr int64_t kBlock = 2048;  // points whose sums stay in the L1 cache
constexpr float kMax = std::numeric_limits<float>::max();

Survey survey_block(const float* scores, int64_t labels, int64_t points, int64_t first, int64_t count) {
    float sum[kBlock] = {};
    Survey s{kMax, -kMax, kMax, -kMax, 0};
    for (int64_t l = 0; l < labels; ++l) {
        const float* plane = scores + l * points + first;
        int32_t finite = 0;
        for (int64_t i = 0; i < count; ++i) {  // branch free, so that it vectorises
            const float v = plane[i];
            const bool good = v >= -kMax && v <= kMax;
            finite += good;
            s.min = good && v < s.min ? v : s.min;
            s.max = good && v > s.max ? v : s.max;
            sum[i] += v;
        }
        s.not_finite += count - finite;
    }
    for (int64_t i = 0; i < count; ++i) {
        s.sum_min = sum[i] < s.sum_min ? sum[i] : s.sum_min;
        s.sum_max = sum[i] > s.sum_max ? sum[i] : s.sum_max;
    }
    return s;
}

Survey merge(const Survey& a, const Survey& b) {
    return {std::min(a.min, b.min), std::max(a.max, b.max), std::min(a.sum_min, b.sum_min),
            std::max(a.sum_max, b.sum_max), a.not_finite + b.not_finite};
}

}  // namespace

Survey survey(const float* scores, int64_t labels, int64_t points, int threads) {
    const int64_t blocks = (points + kBlock - 1) / kBlock;
    std::vector<Survey> partial(blocks);
    Team team({threads}, 1 + blocks / 32);
    team.run([&](int thread) {
        team.each(thread, blocks, [&](int64_t b) {
            partial[b] = survey_block(scores, labels, points, b * kBlock, std::min(kBlock, points - b * kBlock));
        });
    });
    Survey all{kMax, -kMax, kMax, -kMax, 0};
    for (const Survey& one : partial) all = merge(all, one);
    return all;
}

}  // namespace densecrf::cpu

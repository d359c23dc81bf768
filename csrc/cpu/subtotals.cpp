#include "subtotals.h"

#include <algorithm>

namespace densecrf::cpu {
namespace {

// The square root of the points of a partition, or nearly; but more for more rows, so that emptying them costs
// little next to adding points, each of which touches three rows or more.
constexpr int64_t kLeastPoints = 256, kPointsPerRow = 16;

}  // namespace

void Subtotals::begin(int64_t points) {
    points_ = left_ = points;
    shared_.clear();
    totals_.clear();
}

void Subtotals::clear(float* values, int64_t rows, int width) {
    const size_t size = static_cast<size_t>(rows) * width;
    std::fill_n(values, size, 0.0f);
    const int64_t most = std::max(kLeastPoints, kPointsPerRow * rows);
    if (points_ < 2 * most) return;
    shared_.push_back({values, size, totals_.size(), most, 0});
    totals_.resize(totals_.size() + size, 0.0f);
}

void Subtotals::count(Shared& shared, int points) {
    shared.pending += points;
    float *values = shared.values, *totals = totals_.data() + shared.total;
    if (left_ == 0) {
        for (size_t i = 0; i < shared.size; ++i) values[i] += totals[i];
    } else if (shared.pending >= shared.most) {
        for (size_t i = 0; i < shared.size; ++i) totals[i] += values[i];
        std::fill_n(values, shared.size, 0.0f);
        shared.pending = 0;
    }
}

}  // namespace densecrf::cpu

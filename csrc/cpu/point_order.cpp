#include "point_order.h"

#include <algorithm>

#include "room.h"

namespace densecrf::cpu {
namespace {

constexpr int64_t kTileHeight = 64;
constexpr int64_t kNarrow = 16;  // below this width tiles would make runs too short to be worth it

// Every partition repeats the vertices it shares with others, so few; but enough to keep cores busy, and an even
// number of them: three would leave one of two threads idle for a third of the time.
constexpr int64_t kPointsPerPartition = 48 * 1024;
constexpr int64_t kMaxPartitions = 64;

int64_t partitions_for(int64_t points) {
    const int64_t pairs = (points + kPointsPerPartition) / (2 * kPointsPerPartition);
    return points < kPointsPerPartition / 2 ? 1 : std::clamp<int64_t>(2 * pairs, 2, kMaxPartitions);
}

int64_t runs_for(int64_t points) {
    return points / kRunLength + (points % kRunLength != 0);
}

}  // namespace

PointOrder::PointOrder(const Grid& grid) {
    const int64_t total = grid.points();
    const int64_t width = grid.shape.back();
    const bool tiled = grid.shape.size() >= 2 && width >= kNarrow;
    const int64_t runs = tiled ? total / width * runs_for(width) : runs_for(total);
    require_memory(static_cast<size_t>(runs) * sizeof(Run));  // a shape is a few bytes, and may claim anything
    runs_.reserve(runs);
    if (tiled) {
        const int64_t height = grid.shape[grid.shape.size() - 2];
        for (int64_t first = 0; first < total; first += height * width) add_tiles(first, height, width);
    } else {
        for (int64_t i = 0; i < total; i += kRunLength)
            add_run(i, static_cast<int>(std::min<int64_t>(kRunLength, total - i)));
    }
    cut_into_partitions();
}

void PointOrder::add_tiles(int64_t first, int64_t height, int64_t width) {
    const int64_t columns = runs_for(width);
    for (int64_t top = 0; top < height; top += kTileHeight) {
        for (int64_t c = 0; c < columns; ++c) {  // of nearly equal width, so that no run is tiny
            const int64_t left = width * c / columns, right = width * (c + 1) / columns;
            for (int64_t y = top; y < std::min(height, top + kTileHeight); ++y)
                add_run(first + y * width + left, static_cast<int>(right - left));
        }
    }
}

void PointOrder::add_run(int64_t first, int count) {
    runs_.push_back({first, points_, count});
    points_ += count;
}

void PointOrder::cut_into_partitions() {
    const size_t partitions = std::min(static_cast<size_t>(partitions_for(points_)), runs_.size());
    for (size_t p = 0; p <= partitions; ++p) first_run_.push_back(runs_.size() * p / partitions);
}

int64_t PointOrder::first_point(int partition) const {
    const size_t run = first_run_[partition];
    return run < runs_.size() ? runs_[run].start : points_;
}

}  // namespace densecrf::cpu

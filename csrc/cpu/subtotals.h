// Sums of many points, in two levels.
//
// A wide kernel has a handful of vertices, each of which hears all points of a partition. Added up one after the
// other in float32, tens of thousands of them leave a sum that is off by a ten-thousandth part: every one is
// rounded to the last place of all before it. So rows that are few for their points are emptied into totals again
// and again, and hold no more than a subtotal in between.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace densecrf::cpu {

// Of one partition at a time, for one thread. When a subtotal ends depends on the partition alone, so sums have
// the same bits for every number of threads.
class Subtotals {
  public:
    // A partition of so many points begins; its rows are to be named with clear().
    void begin(int64_t points);

    // Sets `rows` rows of `width` values to zero: those of a term, or of one block of its labels.
    void clear(float* values, int64_t rows, int width);

    // To be called after so many points were added to the rows. After the last one the rows hold their totals.
    void added(int points) {
        left_ -= points;
        for (Shared& shared : shared_) count(shared, points);
    }

  private:
    // Rows that are few for their points.
    struct Shared {
        float* values;
        size_t size;
        size_t total;     // where theirs begin in totals_
        int64_t most;     // points in a subtotal
        int64_t pending;  // points in this one
    };

    void count(Shared& shared, int points);

    int64_t points_ = 0, left_ = 0;
    std::vector<Shared> shared_;
    std::vector<float> totals_;
};

}  // namespace densecrf::cpu

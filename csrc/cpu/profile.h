// Where the time of a call goes, stage by stage: for benchmarks, and off unless somebody asks.
#pragma once

#include <atomic>
#include <chrono>

namespace densecrf::cpu {

enum class Stage {
    kFeatures,    // features and their simplices
    kVertices,    // numbering lattice vertices
    kNeighbours,  // who is whose neighbour along which axis
    kNormalise,   // the filter's response to ones, and the corner weights
    kRead,        // scores to unaries
    kSlice,
    kSoftmax,
    kSplat,
    kBlur,
    kWrite,
};

constexpr int kStages = 10;
constexpr const char* kStageNames[kStages] = {"features", "vertices", "neighbours", "normalise", "read",
                                              "slice",    "softmax",  "splat",      "blur",      "write"};

// Seconds of all threads together.
class Profile {
  public:
    void add(Stage stage, std::chrono::nanoseconds time) {
        nanoseconds_[static_cast<int>(stage)].fetch_add(time.count(), std::memory_order_relaxed);
    }
    double seconds(int stage) const { return 1e-9 * static_cast<double>(nanoseconds_[stage].load()); }

  private:
    std::atomic<int64_t> nanoseconds_[kStages] = {};
};

// Counts the time until its end towards a stage; null for a profile that nobody wants.
class Lap {
  public:
    Lap(Profile* profile, Stage stage) : profile_(profile), stage_(stage) {
        if (profile_) start_ = Clock::now();
    }
    Lap(const Lap&) = delete;
    ~Lap() {
        if (profile_) profile_->add(stage_, Clock::now() - start_);
    }

  private:
    using Clock = std::chrono::steady_clock;
    Profile* const profile_;
    const Stage stage_;
    Clock::time_point start_;
};

}  // namespace densecrf::cpu

// The engine. One iteration is one pass over the points and one blur:
//
//     pass, per run of up to 64 points:   slice (+ unary) -> soft-max -> splat into the other buffer
//     blur that buffer; swap
//
// The marginals Q of an iteration exist only for the points at hand, unless damping or a tolerance asks for those
// of the iteration before. Everything is in units of log2, so the soft-max is a power of two; messages arrive in
// those units because the corner weights carry the factor.
#include "mean_field.h"

#include <algorithm>
#include <atomic>

namespace densecrf::cpu {
namespace {

constexpr float kLog2e = 1.442695041f, kLn2 = 0.6931471806f;

// Marginals below 2^-60 count as 2^-60 on their way into the lattice: no denormal numbers, and no difference
// that a float sum could show. The result itself is exact down to the smallest normal float.
constexpr float kFloorInside = -60.0f, kFloorResult = -125.0f;

class MeanField {
  public:
    MeanField(const Passes& passes, const Unary& unary, const Inference& inference, float* marginals)
        : passes_(passes),
          unary_(unary),
          inference_(inference),
          keeps_marginals_(inference.damping > 0 || inference.tolerance > 0),
          scores_{unary.scores, passes.order().points(), passes.labels()},
          start_{inference.start, passes.order().points(), passes.labels()},
          marginals_{marginals, passes.order().points(), passes.labels()} {
        require_memory(inference_bytes(passes, inference));
        if (inference.iterations == 0) return;
        unaries_ = passes.point_values();
        if (keeps_marginals_) kept_ = passes.point_values();
        for (BlockedValues& values : values_) values = passes.lattice_values();
    }

    // Called by every thread of the team; returns how many iterations ran.
    int run(Team& team, int thread) {
        Scratch scratch(passes_.stride());
        const int n = inference_.iterations;
        for (int i = 0; i < n; ++i) {
            if (i > 0 && settled(team, thread)) {
                each_run(team, thread, [&](const Run& run) { write_kept(run, scratch); });
                return i - 1;
            }
            const BlockedValues& to = values_[(i + 1) % 2];
            team.each(thread, passes_.order().partitions(), [&](int64_t p) {
                passes_.clear(p, to);
                passes_.for_each_run(p, [&](const Run& run) {
                    if (&run + 1 < passes_.order().end(p)) { if (i > 0) passes_.expect(p, *(&run + 1), values_[i % 2]); passes_.expect(p, *(&run + 1), to); }
                    find_marginals(i, run, kFloorInside, scratch, team.profile());
                    const Lap lap(team.profile(), Stage::kSplat);
                    passes_.splat(run, scratch.q.data(), to);
                });
            });
            passes_.filter(to, team, thread);
        }
        each_run(team, thread, [&](const Run& run) {
            find_marginals(n, run, kFloorResult, scratch, team.profile());
            const Lap lap(team.profile(), Stage::kWrite);
            kernels().write(run.count, scratch.q.data(), passes_.stride(), 1.0f, marginals_, run.first);
        });
        return n;
    }

  private:
    template <class Body>
    void each_run(Team& team, int thread, const Body& body) {
        team.each(thread, passes_.order().partitions(), [&](int64_t p) { passes_.for_each_run(p, body); });
    }

    // Q after `iteration` iterations, for a run of points, into the scratch.
    void find_marginals(int iteration, const Run& run, float floor, Scratch& scratch,
                        Profile* profile) {
        float *x = scratch.x.data(), *q = scratch.q.data();
        const int stride = passes_.stride();
        if (iteration > 0) {
            const Lap lap(profile, Stage::kSlice);
            passes_.slice(run, values_[iteration % 2], &unaries_, x);
        } else {
            const Lap lap(profile, Stage::kRead);
            read_scores(run, scratch);
            if (inference_.iterations > 0) passes_.keep(run, x, unaries_);
        }
        const Lap lap(profile, Stage::kSoftmax);
        if (iteration == 0 && inference_.start != nullptr)
            kernels().read_values(start_, run.first, run.count, q, stride);
        else
            kernels().softmax(run.count, passes_.labels(), floor, x, q, stride);
        if (!keeps_marginals_ || inference_.iterations == 0) return;
        if (iteration > 0) {
            passes_.recall(run, kept_, x);
            note(kernels().blend(run.count, inference_.damping, q, x, stride));
        }
        passes_.keep(run, q, kept_);
    }

    void read_scores(const Run& run, Scratch& scratch) {
        float *x = scratch.x.data(), *columns = scratch.columns.data();
        const int stride = passes_.stride();
        if (unary_.kind == Scores::kProbabilities)
            kernels().read_probs(scores_, unary_.clip, run.first, run.count, x, stride, columns);
        else
            kernels().read_logits(scores_, unary_.kind == Scores::kLogits ? kLog2e : -kLog2e, run.first, run.count,
                                  x, stride, columns);
    }

    void write_kept(const Run& run, Scratch& scratch) {
        passes_.recall(run, kept_, scratch.q.data());
        kernels().write(run.count, scratch.q.data(), passes_.stride(), 1.0f, marginals_, run.first);
    }

    // The largest change of a marginal in this iteration: the order of the notes does not matter.
    void note(float change) {
        float largest = change_.load(std::memory_order_relaxed);
        while (change > largest && !change_.compare_exchange_weak(largest, change, std::memory_order_relaxed)) {
        }
    }

    // Whether the marginals of the last pass differ from those before by no more than the tolerance.
    bool settled(Team& team, int thread) {
        if (inference_.tolerance <= 0) return false;
        team.once(thread, [&] {
            settled_ = passes_seen_++ > 0 && change_.load() <= inference_.tolerance;
            change_.store(0);
        });
        return settled_;
    }

    const Passes& passes_;
    const Unary unary_;
    const Inference inference_;
    const bool keeps_marginals_;
    const Planes<const float> scores_, start_;
    const Planes<float> marginals_;
    BlockedValues unaries_;    // [N], log2
    BlockedValues kept_;       // [N], the marginals of the iteration before
    BlockedValues values_[2];  // [lattice rows]; an iteration slices one and splats into the other
    std::atomic<float> change_{0};
    int passes_seen_ = 0;
    bool settled_ = false;
};

}  // namespace

size_t inference_bytes(const Passes& passes, const Inference& inference) {
    if (inference.iterations == 0) return 0;
    const int64_t per_point = inference.damping > 0 || inference.tolerance > 0 ? 2 : 1;
    return passes.bytes(per_point * passes.order().points() + 2 * passes.lattice().rows());
}

int infer(const Passes& passes, const Unary& unary, const Inference& inference, const Execution& execution,
          float* marginals) {
    MeanField mean_field(passes, unary, inference, marginals);
    Team team(execution, passes.order().partitions());
    int iterations = 0;
    team.run([&](int thread) {
        const int ran = mean_field.run(team, thread);
        if (thread == 0) iterations = ran;
    });
    return iterations;
}

void message(const Passes& passes, const float* values, const Execution& execution, float* out) {
    const int64_t points = passes.order().points();
    const Planes<const float> from{values, points, passes.labels()};
    const Planes<float> to{out, points, passes.labels()};
    const BlockedValues rows = passes.lattice_values();
    Team team(execution, passes.order().partitions());
    team.run([&](int thread) {
        Scratch scratch(passes.stride());
        float *x = scratch.x.data(), *q = scratch.q.data();
        team.each(thread, passes.order().partitions(), [&](int64_t p) {
            passes.for_each_run(p, [&](const Run& run) {
                passes.clear_fresh(p, run, rows);
                kernels().read_values(from, run.first, run.count, q, passes.stride());
                passes.splat(run, q, rows);
            });
        });
        passes.filter(rows, team, thread);
        team.each(thread, passes.order().partitions(), [&](int64_t p) {
            passes.for_each_run(p, [&](const Run& run) {
                passes.slice(run, rows, nullptr, x);
                kernels().write(run.count, x, passes.stride(), kLn2, to, run.first);
            });
        });
    });
}

}  // namespace densecrf::cpu

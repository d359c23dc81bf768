#include "two_labels.h"

#include <algorithm>

#include "runs.h"
#include "subtotals.h"

namespace densecrf::cpu {
namespace {

constexpr int kOneColumn = 1;

class TwoLabels {
  public:
    TwoLabels(const PointOrder& order, const Lattice& lattice, const Unary& unary, int iterations,
              float* marginals)
        : order_(order),
          lattice_(lattice),
          unary_(unary),
          iterations_(iterations),
          scores_{unary.scores, order.points(), 2},
          marginals_{marginals, order.points(), 2} {
        if (iterations == 0) return;
        odds_ = Array<float>(order.points());
        for (Array<float>& values : values_) values = Array<float>(lattice.rows());
    }

    // Called by every thread of the team.
    void run(Team& team, int thread) {
        for (int i = 0; i < iterations_; ++i) {
            float* const to[] = {values_[(i + 1) % 2].data()};
            const Rows rows{1, &kOneColumn, to};
            Subtotals subtotals;
            for_each_run(order_, team, thread, [&](int64_t p, const Run& run) {
                if (&run == order_.begin(static_cast<int>(p))) clear(p, to[0], subtotals);
                float x[kRunLength], d[kRunLength];
                find_odds(i, run, x, team.profile());
                {
                    const Lap lap(team.profile(), Stage::kSoftmax);
                    kernels().difference(run.count, x, d);
                }
                const Lap lap(team.profile(), Stage::kSplat);
                kernels().splat(run.count, lattice_.splat_corners(), run.start, d, 1, rows);
                subtotals.added(run.count);
            });
            blur(lattice_.terms(), rows, Stage::kBlur, team, thread);
        }
        for_each_run(order_, team, thread, [&](int64_t, const Run& run) {
            float x[kRunLength];
            find_odds(iterations_, run, x, team.profile());
            const Lap lap(team.profile(), Stage::kWrite);
            kernels().write_odds(run.count, x, marginals_, run.first);
        });
    }

  private:
    void clear(int64_t partition, float* values, Subtotals& subtotals) const {
        subtotals.begin(order_.points_of(static_cast<int>(partition)));
        for (size_t t = 0; t < lattice_.terms().size(); ++t) {
            const Lattice::RowRange rows = lattice_.partition_rows(t, partition);
            subtotals.clear(values + rows.first, rows.end - rows.first, kOneColumn);
        }
    }

    // x = log2 of the odds of label 0 after so many iterations.
    void find_odds(int iteration, const Run& run, float* x, Profile* profile) {
        if (iteration == 0) {
            const Lap lap(profile, Stage::kRead);
            kernels().read_odds(scores_, unary_.kind, unary_.clip, run.first, run.count, x);
            if (iterations_ > 0) std::copy_n(x, run.count, odds_.data() + run.start);
            return;
        }
        const Lap lap(profile, Stage::kSlice);
        float* const from[] = {values_[iteration % 2].data()};
        float* const base[] = {odds_.data()};
        kernels().slice(run.count, lattice_.slice_corners(), run.start, {1, &kOneColumn, from},
                        {1, &kOneColumn, base}, x, 1);
    }

    const PointOrder& order_;
    const Lattice& lattice_;
    const Unary unary_;
    const int iterations_;
    const Planes<const float> scores_;
    const Planes<float> marginals_;
    Array<float> odds_;       // [N], log2, from the unaries
    Array<float> values_[2];  // [lattice rows]
};

}  // namespace

bool takes_two_labels(const Lattice& lattice, int labels, const Inference& inference) {
    if (labels != 2 || inference.start || inference.damping > 0 || inference.tolerance > 0) return false;
    for (size_t t = 0; t < lattice.terms().size(); ++t)
        if (lattice.mixes(t)) return false;
    return true;
}

void infer_two_labels(const PointOrder& order, const Lattice& lattice, const Unary& unary, int iterations,
                      const Execution& execution, float* marginals) {
    TwoLabels two_labels(order, lattice, unary, iterations, marginals);
    Team team(execution, order.partitions());
    team.run([&](int thread) { two_labels.run(team, thread); });
}

}  // namespace densecrf::cpu

// The engine. One iteration is one pass over the points and one blur:
//
//     pass, per run of up to 64 points:   slice (+ unary) -> soft-max -> splat into the other buffer
//     blur that buffer; swap
//
// The marginals Q of an iteration exist only for the points at hand, unless damping or a tolerance asks for those
// of the iteration before. Everything is in units of log2, so the soft-max is a power of two; messages arrive in
// those units because the corner weights carry the factor.
//
// With a label tolerance, labels that stay below it everywhere leave the lattice (label_set.h). The pass of an
// iteration then slices for one set of labels and splats for the same or a smaller one:
//
//     iteration 0     all labels, but for those that are hardly probable anywhere if that leaves few
//     iteration 1     if not: marginals are written out first, and all points looked at before labels are chosen
//     from then on    fewer if the iteration before shows that they fit narrower rows; all again, should the
//                     labels left out gain
#include "mean_field.h"

#include <algorithm>
#include <atomic>

#include "../label_tolerance.h"
#include "label_choice.h"
#include "memory.h"
#include "room.h"
#include "two_labels.h"

namespace densecrf::cpu {
namespace {

// Marginals below 2^-60 count as 2^-60 on their way into the lattice: no denormal numbers, and no difference
// that a float sum could show. The result itself is exact down to the smallest normal float.
constexpr float kFloorInside = -60.0f, kFloorResult = -125.0f;

std::vector<int> first_labels(int count) {
    std::vector<int> labels(count);
    for (int l = 0; l < count; ++l) labels[l] = l;
    return labels;
}

bool keeps_marginals(const Inference& inference) {
    return inference.damping > 0 || inference.tolerance > 0;
}

class MeanField {
  public:
    MeanField(const PointOrder& order, const Lattice& lattice, const Unary& unary, const Inference& inference,
              float* marginals)
        : order_(order),
          unary_(unary),
          inference_(inference),
          all_(order, lattice, first_labels(unary.labels), unary.labels),
          stride_(all_.passes.stride()),
          scores_{unary.scores, order.points(), unary.labels},
          start_{inference.start, order.points(), unary.labels},
          marginals_{marginals, order.points(), unary.labels},
          choice_(order, lattice, all_,
                  keeps_marginals(inference) || inference.start ? 0 : inference.label_tolerance) {
        if (keeps_marginals(inference)) all_.passes.shape_points(kept_);
    }

    // Called by every thread of the team; returns how many iterations ran.
    int run(Team& team, int thread) {
        const int n = inference_.iterations;
        look_at_scores(team, thread);
        for (int i = 0; i <= n; ++i) {
            if (i > 0 && settled(team, thread)) {
                write_kept(team, thread);
                return i - 1;
            }
            if (i == n) break;
            team.once(thread, [&] { plan(i); });
            looks_ ? look(team, thread) : iterate(i, team, thread);
            to_->passes.filter(values_[(i + 1) % 2], team, thread);
        }
        write_result(team, thread);
        return n;
    }

  private:
    // ------------------------------------------------------------------------------- iterations

    void iterate(int i, Team& team, int thread) {
        const BlockedValues& from = values_[i % 2];
        Sums to{values_[(i + 1) % 2], {}};
        Scratch all(stride_), before(from_->passes.stride()), after(to_->passes.stride());
        for_each_run(order_, team, thread, [&](int64_t p, const Run& run) {
            start_of_run(p, run, i > 0 ? &from : nullptr, to, team);
            if (to_ == from_ || to_ == &all_) {
                to_ == from_ ? find_marginals(i, run, kFloorInside, after, team.profile())
                             : find_all_marginals(i, run, kFloorInside, all, before, team.profile());
                splat(p, run, to_ == from_ ? after : all, to, i, team.profile());
            } else {
                find_marginals(i, run, kFloorInside, before, team.profile());
                move_marginals(run, before, all, after);
                splat(p, run, after, to, i, team.profile());
            }
        });
    }

    // Before iteration 0, with a tolerance: the peak of every label's probabilities.
    void look_at_scores(Team& team, int thread) {
        if (!choice_.open() || unary_.kind != Scores::kProbabilities) return;
        const int64_t points = order_.points(), parts = order_.partitions();
        team.each(thread, parts, [&](int64_t p) {
            const Lap lap(team.profile(), Stage::kRead);
            const int64_t first = points * p / parts;
            choice_.forget(p);
            kernels().peaks(scores_, first, points * (p + 1) / parts - first, choice_.peaks(p));
        });
    }

    // Iteration 1 with a tolerance: the marginals of all labels go to the result's place and are looked at.
    void look(Team& team, int thread) {
        constexpr int i = 1;
        {
            Scratch scratch(stride_);
            for_each_run(order_, team, thread, [&](int64_t p, const Run& run) {
                find_marginals(i, run, kFloorInside, scratch, team.profile());
                const Lap lap(team.profile(), Stage::kWrite);
                kernels().write(run.count, scratch.q.data(), stride_, 1.0f, marginals_, run.first);
                note_peaks(p, run, scratch, stride_);
            });
        }
        team.once(thread, [&] { prepare(i, choice_.narrower()); });
        Sums to{values_[(i + 1) % 2], {}};
        Scratch all(stride_), after(to_->passes.stride());
        const Planes<const float> planes{marginals_.data, marginals_.points, to_->passes.labels(),
                                         to_->labels.data()};
        for_each_run(order_, team, thread, [&](int64_t p, const Run& run) {
            start_of_run(p, run, nullptr, to, team);
            if (to_ != &all_) {
                all_.passes.recall(run, all_.unaries, all.x.data());
                to_->take_unaries(run, all.x.data(), stride_, after);
            }
            kernels().read_values(planes, run.first, run.count, after.q.data(), to_->passes.stride());
            splat(p, run, after, to, i, team.profile());
        });
    }

    void start_of_run(int64_t p, const Run& run, const BlockedValues* from, Sums& to, Team& team) {
        if (&run == order_.begin(static_cast<int>(p))) to_->passes.clear(p, to, team);
        if (from) from_->passes.expect_next(p, run, *from);
        to_->passes.expect_next(p, run, to.rows);
    }

    // Marginals in the scratch -> lattice; notes how large every label's are.
    void splat(int64_t p, const Run& run, Scratch& scratch, Sums& to, int i, Profile* profile) {
        const Lap lap(profile, Stage::kSplat);
        to_->passes.splat(run, scratch.q.data(), to);
        if (choice_.open() && i <= kLastLook) note_peaks(p, run, scratch, to_->passes.stride());
    }

    void note_peaks(int64_t p, const Run& run, const Scratch& scratch, int stride) {
        if (&run == order_.begin(static_cast<int>(p))) choice_.forget(p);
        kernels().raise(run.count, scratch.q.data(), stride, choice_.peaks(p));
    }

    // Q after `iteration` iterations of the labels of `from_`, for a run of points, into the scratch.
    void find_marginals(int iteration, const Run& run, float floor, Scratch& scratch, Profile* profile) {
        float *x = scratch.x.data(), *q = scratch.q.data();
        const Passes& passes = from_->passes;
        if (iteration > 0) {
            const Lap lap(profile, Stage::kSlice);
            passes.slice(run, values_[iteration % 2], &from_->unaries, x);
        } else {
            const Lap lap(profile, Stage::kRead);
            read_scores(run, scratch);
            if (inference_.iterations > 0) passes.keep(run, x, all_.unaries);
        }
        const Lap lap(profile, Stage::kSoftmax);
        if (iteration == 0 && inference_.start != nullptr)
            kernels().read_values(start_, run.first, run.count, q, passes.stride());
        else
            choice_.note_rest(
                kernels().softmax(run.count, passes.labels(), floor, x, rest_of(run), q, passes.stride()));
        if (!keeps_marginals(inference_) || inference_.iterations == 0) return;
        if (iteration > 0) {
            passes.recall(run, kept_, scratch.kept.data());
            raise_to(change_,
                     kernels().blend(run.count, inference_.damping, q, scratch.kept.data(), passes.stride()));
        }
        passes.keep(run, q, kept_);
    }

    // The same for all labels, where `from_` has only some: the others receive no messages.
    void find_all_marginals(int iteration, const Run& run, float floor, Scratch& all, Scratch& some,
                            Profile* profile) {
        {
            const Lap lap(profile, Stage::kSlice);
            from_->passes.slice(run, values_[iteration % 2], nullptr, some.x.data());
            all_.passes.recall(run, all_.unaries, all.x.data());
            from_->add_to(run.count, some.x.data(), all.x.data(), stride_);
        }
        const Lap lap(profile, Stage::kSoftmax);
        kernels().softmax(run.count, unary_.labels, floor, all.x.data(), nullptr, all.q.data(), stride_);
    }

    // Marginals of `from_`'s labels -> those of `to_`'s; takes its unaries on the way.
    void move_marginals(const Run& run, const Scratch& before, Scratch& all, Scratch& after) {
        std::fill_n(all.q.data(), all.q.size(), 0.0f);
        from_->add_to(run.count, before.q.data(), all.q.data(), stride_);
        all_.passes.recall(run, all_.unaries, all.x.data());
        to_->take_unaries(run, all.x.data(), stride_, after);
        std::fill_n(after.q.data(), after.q.size(), 0.0f);
        to_->pick(run.count, all.q.data(), stride_, after.q.data());
    }

    void read_scores(const Run& run, Scratch& scratch) {
        float *x = scratch.x.data(), *columns = scratch.columns.data();
        if (unary_.kind == Scores::kProbabilities)
            kernels().read_probs(scores_, unary_.clip, run.first, run.count, x, stride_, columns);
        else
            kernels().read_logits(scores_, unary_.kind == Scores::kLogits ? kLog2e : -kLog2e, run.first, run.count,
                                  x, stride_, columns);
    }

    const float* rest_of(const Run& run) const {
        return from_->whole() ? nullptr : from_->rest.data() + run.start;
    }

    // ------------------------------------------------------------------------------- label sets

    void plan(int i) {
        looks_ = i == 1 && choice_.promising();
        if (looks_) return;
        LabelSet* set = i == 0 && unary_.kind == Scores::kProbabilities ? choice_.few() : choice_.checked();
        if (i > 0 && i - 1 <= kLastLook) set = choice_.narrower();
        prepare(i, set);
    }

    // Makes `set` the one that this iteration splats for.
    void prepare(int i, LabelSet* set) {
        from_ = to_;
        to_ = set;
        set->passes.shape_rows(values_[(i + 1) % 2]);
    }

    // ------------------------------------------------------------------------------- results

    void write_result(Team& team, int thread) {
        const int n = inference_.iterations;
        team.once(thread, [&] { from_ = to_; });
        Scratch all(stride_), some(from_->passes.stride());
        for_each_run(order_, team, thread, [&](int64_t, const Run& run) {
            from_->whole() ? find_marginals(n, run, kFloorResult, all, team.profile())
                           : find_all_marginals(n, run, kFloorResult, all, some, team.profile());
            const Lap lap(team.profile(), Stage::kWrite);
            kernels().write(run.count, all.q.data(), stride_, 1.0f, marginals_, run.first);
        });
    }

    void write_kept(Team& team, int thread) {
        Scratch scratch(stride_);
        for_each_run(order_, team, thread, [&](int64_t, const Run& run) {
            all_.passes.recall(run, kept_, scratch.q.data());
            kernels().write(run.count, scratch.q.data(), stride_, 1.0f, marginals_, run.first);
        });
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

    const PointOrder& order_;
    const Unary unary_;
    const Inference inference_;
    LabelSet all_;
    LabelSet* from_ = &all_;  // whose messages this iteration slices
    LabelSet* to_ = &all_;    // whose marginals it splats
    const int stride_;        // of all labels
    const Planes<const float> scores_, start_;
    const Planes<float> marginals_;
    LabelChoice choice_;
    bool looks_ = false;
    BlockedValues kept_;       // [N], the marginals of the iteration before
    BlockedValues values_[2];  // [lattice rows]; an iteration slices one and splats into the other
    std::atomic<float> change_{0};
    int passes_seen_ = 0;
    bool settled_ = false;
};

}  // namespace

size_t inference_bytes(const PointOrder& order, const Lattice& lattice, int labels, const Inference& inference) {
    if (inference.iterations == 0) return 0;
    const int64_t rows = (keeps_marginals(inference) ? 2 : 1) * order.points() + 2 * lattice.rows();
    const int width = takes_two_labels(lattice, labels, inference) ? 1 : width_of(labels);
    return static_cast<size_t>(rows) * width * sizeof(float);
}

int infer(const PointOrder& order, const Lattice& lattice, const Unary& unary, const Inference& inference,
          const Execution& execution, float* marginals) {
    inference.require_iterations();
    const auto labels = static_cast<size_t>(unary.labels), points = static_cast<size_t>(order.points());
    const size_t threads = std::min(execution.threads, order.partitions());
    const size_t scratch = threads * 3 * 4 * kRunLength;  // of an iteration, for each label
    claim(marginals, sizeof(float) * labels * points);
    require_memory(inference_bytes(order, lattice, unary.labels, inference) + sizeof(float) * labels * scratch);
    if (takes_two_labels(lattice, unary.labels, inference)) {
        infer_two_labels(order, lattice, unary, inference.iterations, execution, marginals);
        return inference.iterations;
    }
    MeanField mean_field(order, lattice, unary, inference, marginals);
    Team team(execution, order.partitions());
    int iterations = 0;
    team.run([&](int thread) {
        const int ran = mean_field.run(team, thread);
        if (thread == 0) iterations = ran;
    });
    return iterations;
}

}  // namespace densecrf::cpu
